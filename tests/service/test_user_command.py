"""`meterline user` as a process: what it asks, says and never shows."""

import os
import pty
import subprocess
import sys
import termios
from contextlib import closing, suppress
from pathlib import Path
from threading import Timer
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from ledger.accounts.roles import Role
from ledger.accounts.users import User, authenticate
from ledger.session import operator_session
from tests.conftest import Run
from tests.processes import wait_until

# What a command or a server says does not depend on the database that is behind it.
pytestmark = pytest.mark.ledger("sqlite")

PASSWORD = "correct horse"
ROOT = ("user", "add", "boss", "--role", "root_admin")
COMMAND = Path(sys.executable).parent / "meterline"
_PATIENCE_SECONDS = 30.0


class Finished(NamedTuple):
    """A process that ended; what it printed, on either stream."""

    code: int
    said: str


class Shell:
    """Runs the command with a password at its standard input, or at a terminal."""

    def __init__(self, ledger_url: str, folder: Path) -> None:
        self._environment = {**os.environ, "METERLINE_DATABASE_URL": ledger_url}
        self._folder = folder

    def pipe(self, *arguments: str, given: str | bytes = PASSWORD) -> Finished:
        """Run with a pipe as standard input."""
        finished = subprocess.run(
            [COMMAND, *arguments],
            env=self._environment,
            cwd=self._folder,
            input=given if isinstance(given, bytes) else given.encode(),
            capture_output=True,
            check=False,
            timeout=120,
        )
        return Finished(finished.returncode, (finished.stdout + finished.stderr).decode())

    def type(self, *arguments: str, answers: tuple[str, ...]) -> Finished:
        """Run at a terminal; type an answer whenever it is asked for and not shown."""
        ours, its = pty.openpty()
        process = subprocess.Popen(
            [COMMAND, *arguments],
            env=self._environment,
            cwd=self._folder,
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
        )
        os.close(its)  # so that reading ends, by an error, when the process does
        impatience = Timer(_PATIENCE_SECONDS, process.kill)
        impatience.start()
        said = b""
        with closing(os.fdopen(ours, "r+b", buffering=0)) as terminal:
            for answer in answers:
                asked = len(said)
                while not said[asked:].rstrip().endswith(b":"):
                    said += os.read(terminal.fileno(), 1024)
                wait_until(lambda: _is_hidden(ours), "the terminal hides what is typed")
                os.write(terminal.fileno(), f"{answer}\n".encode())
            with suppress(OSError):
                while part := os.read(terminal.fileno(), 1024):
                    said += part
        impatience.cancel()
        return Finished(process.wait(), said.decode())


def _is_hidden(terminal: int) -> bool:
    modes: int = termios.tcgetattr(terminal)[3]
    return not modes & termios.ECHO


@pytest.fixture
def shell(ledger_url: str, engine: sa.Engine, tmp_path: Path) -> Shell:
    del engine  # it registers the tenants
    return Shell(ledger_url, tmp_path)


def sign_in(engine: sa.Engine, login: str, password: str = PASSWORD) -> User | None:
    with operator_session(engine) as session:
        return authenticate(session, login, password)


def role_of(user: User | None) -> Role | None:
    return None if user is None else user.role


def cells(text: str) -> list[list[str]]:
    """Return the cells of a printed table, without its header."""
    return [line.split() for line in text.splitlines()[1:]]


def test_an_operator_is_added_by_a_piped_password(shell: Shell, engine: sa.Engine) -> None:
    finished = shell.pipe(*ROOT, "--password-stdin")
    expected = (0, "user boss: root_admin\n", Role.ROOT_ADMIN)
    assert expected == (*finished, role_of(sign_in(engine, "boss")))


def test_a_user_of_a_tenant_is_added_with_it(shell: Shell, engine: sa.Engine) -> None:
    options = ("--role", "tenant_admin", "--tenant", "acme", "--password-stdin")
    finished = shell.pipe("user", "add", "admin", *options)
    found = sign_in(engine, "admin")
    expected = (0, "user admin: tenant_admin of acme\n", "acme")
    assert expected == (*finished, found and found.tenant_id)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_one_end_of_line_is_no_part_of_a_piped_password(
    shell: Shell, engine: sa.Engine, end: str
) -> None:
    shell.pipe(*ROOT, "--password-stdin", given=PASSWORD + end)
    assert Role.ROOT_ADMIN == role_of(sign_in(engine, "boss"))


def test_spaces_are_part_of_a_piped_password(shell: Shell, engine: sa.Engine) -> None:
    shell.pipe(*ROOT, "--password-stdin", given=f" {PASSWORD} \n")
    found = [sign_in(engine, "boss", text) is not None for text in (f" {PASSWORD} ", PASSWORD)]
    assert [True, False] == found


def test_a_terminal_asks_twice_and_adds_the_user(shell: Shell, engine: sa.Engine) -> None:
    finished = shell.type(*ROOT, answers=(PASSWORD, PASSWORD))
    expected = (0, True, Role.ROOT_ADMIN)
    told = "user boss: root_admin" in finished.said
    assert expected == (finished.code, told, role_of(sign_in(engine, "boss")))


def test_a_terminal_never_shows_what_is_typed(shell: Shell) -> None:
    finished = shell.type(*ROOT, answers=(PASSWORD, PASSWORD))
    assert (0, False) == (finished.code, PASSWORD in finished.said)


def test_a_terminal_asks_again_when_the_two_differ(shell: Shell, engine: sa.Engine) -> None:
    typed = (PASSWORD, "correct house", PASSWORD, PASSWORD)
    finished = shell.type(*ROOT, answers=typed)
    assert (0, Role.ROOT_ADMIN) == (finished.code, role_of(sign_in(engine, "boss")))


def test_a_weak_password_at_a_terminal_is_refused(shell: Shell, engine: sa.Engine) -> None:
    finished = shell.type(*ROOT, answers=("hunter2", "hunter2"))
    expected = (2, True, False, None)
    told = "a password has 12 to 1024 characters" in finished.said
    shown = "hunter2" in finished.said
    assert expected == (finished.code, told, shown, sign_in(engine, "boss", "hunter2"))


def test_a_pipe_from_a_terminal_is_refused_since_it_would_show(shell: Shell) -> None:
    finished = shell.type(*ROOT, "--password-stdin", answers=())
    assert (2, True) == (finished.code, "--password-stdin reads from a pipe" in finished.said)


@pytest.mark.parametrize("weak", ["", "\n", "hunter2\n", "x" * 1025])
def test_a_weak_password_is_refused(shell: Shell, weak: str) -> None:
    finished = shell.pipe(*ROOT, "--password-stdin", given=weak)
    assert (2, "error: a password has 12 to 1024 characters\n") == finished


@pytest.mark.parametrize(
    "given", [PASSWORD.encode(), b"hunter2-kept", b"secret-of-boss\xff", b"short"]
)
def test_a_piped_password_is_never_printed(shell: Shell, given: bytes) -> None:
    first = shell.pipe(*ROOT, "--password-stdin", given=given)
    second = shell.pipe(*ROOT, "--password-stdin", given=given)
    listed = shell.pipe("user", "list")
    secret = given.decode(errors="ignore")
    assert [False] * 3 == [secret in finished.said for finished in (first, second, listed)]


def test_a_password_that_is_not_utf_8_is_refused_in_a_sentence(shell: Shell) -> None:
    finished = shell.pipe(*ROOT, "--password-stdin", given=b"secret-of-boss\xff")
    assert (2, "error: the password is not UTF-8\n") == finished


def test_a_password_is_no_argument(shell: Shell, engine: sa.Engine) -> None:
    ways = [("--password", PASSWORD), (f"--password={PASSWORD}",), (PASSWORD,)]
    codes = [shell.pipe(*ROOT, *way).code for way in ways]
    assert ([2, 2, 2], None) == (codes, sign_in(engine, "boss"))


def test_without_terminal_and_pipe_there_is_nobody_to_ask(shell: Shell) -> None:
    finished = shell.pipe(*ROOT)
    assert (2, True) == (finished.code, "use --password-stdin" in finished.said)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("boss",), 2, "Missing option '--role'"),
        (("boss", "--role", "admin"), 2, "roles are root_admin, tenant_admin, tenant_member, ops"),
        (("boss", "--role", "tenant_admin"), 2, "tenant_admin needs a tenant"),
        (("boss", "--role", "tenant_member"), 2, "tenant_member needs a tenant"),
        (("boss", "--role", "ops", "--tenant", "acme"), 2, "ops sees all tenants and has none"),
        (("boss", "--role", "tenant_admin", "--tenant", "x"), 1, "there is no tenant x"),
        (("boss", "--role", "tenant_admin", "--tenant", "a b"), 2, "a tenant id has 1 to 64 of"),
        (("Boss", "--role", "ops"), 2, "a login has 1 to 64 of a-z"),
        (("jo@example.org", "--role", "ops"), 2, "and is not an e-mail address"),
        ((), 2, "Missing argument 'LOGIN'"),
    ],
)
def test_a_wrong_user_is_refused_with_exit_code_and_reason(
    shell: Shell, arguments: tuple[str, ...], code: int, words: str
) -> None:
    finished = shell.pipe("user", "add", *arguments, "--password-stdin")
    assert (code, True) == (finished.code, words in finished.said)


def test_what_is_wrong_is_said_before_the_password_is_asked_for(shell: Shell) -> None:
    finished = shell.type("user", "add", "boss", "--role", "admin", answers=())
    assert (2, False) == (finished.code, "Password" in finished.said)


def test_a_login_that_is_taken_is_refused_and_keeps_its_password(
    shell: Shell, engine: sa.Engine
) -> None:
    shell.pipe(*ROOT, "--password-stdin")
    finished = shell.pipe(*ROOT, "--password-stdin", given="another password")
    expected = (1, "error: user boss is there already\n", Role.ROOT_ADMIN)
    assert expected == (*finished, role_of(sign_in(engine, "boss")))


def test_users_are_listed_with_role_and_tenant(shell: Shell, meterline: Run) -> None:
    shell.pipe(*ROOT, "--password-stdin")
    options = ("--role", "tenant_member", "--tenant", "acme", "--password-stdin")
    shell.pipe("user", "add", "anna", *options)
    found = [row[:3] for row in cells(meterline("user", "list").stdout)]
    assert [["anna", "tenant_member", "acme"], ["boss", "root_admin", "(all)"]] == found


def test_a_disabled_user_is_told_listed_and_let_in_no_more(
    shell: Shell, meterline: Run, engine: sa.Engine
) -> None:
    shell.pipe(*ROOT, "--password-stdin")
    told = meterline("user", "disable", "boss").stdout
    listed = [len(row) for row in cells(meterline("user", "list").stdout)]
    assert ("user boss disabled\n", [5], None) == (told, listed, sign_in(engine, "boss"))


@pytest.mark.parametrize(
    ("login", "code", "words"),
    [("nobody", 1, "there is no user nobody"), ("No Body", 2, "a login has 1 to 64 of")],
)
def test_nobody_cannot_be_disabled(meterline: Run, login: str, code: int, words: str) -> None:
    finished = meterline("user", "disable", login)
    assert (code, True) == (finished.returncode, words in finished.stderr)
