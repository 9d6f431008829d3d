"""Every command line in the documentation is one that there is: its name, options and arguments."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from cli.main import main

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
OPERATIONS = (ROOT / "docs/operations.md").read_text()
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
ENDS = {"|", "||", "&", "&&", ";", ">", ">>", "<", "(", ")"}
COMPOSE = {"build", "exec", "logs", "restart", "run", "up"}


def commands(script: str) -> Iterator[list[str]]:
    """Yield the simple commands of a script, without redirections and variables set before them."""
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.wordchars += "…@%:+,"
        words.whitespace_split = True
        found: list[str] = []
        for word in [*words, ";"]:
            if word not in ENDS:
                found.append(word)
                continue
            while found and re.fullmatch(r"[A-Z_]+=.*|export", found[0]):
                found.pop(0)
            if found:
                yield found
            found = []


def shown(page: Path) -> Iterator[list[str]]:
    for script in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        yield from commands(script)


def ours(command: list[str]) -> list[str] | None:
    """Return the arguments of `meterline` in a command, also where a container runs it."""
    match command:
        case ["meterline", *arguments] | ["/opt/meterline/bin/meterline", *arguments]:
            return arguments
        case ["kubectl", *words] if "--" in words:
            return ours(words[words.index("--") + 1 :])
        case ["docker", "compose", *words] if "run" in words or "exec" in words:
            rest = [word for word in words if word != "--rm"]
            verb, name, *arguments = rest[
                min(rest.index(v) for v in ("run", "exec") if v in rest) :
            ]
            if verb == "exec":
                return ours(arguments)
            return arguments or SERVICES[name]["command"]
    return None


CASES = sorted(
    {
        (page.name, tuple(arguments))
        for page in PAGES
        for command in shown(page)
        if (arguments := ours(command)) is not None
    }
)


def parse(arguments: list[str], command: click.Command = main) -> None:
    """Read a command line as the command would.

    Raises:
        click.UsageError: there is no such command or option, or a value cannot be.
    """
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        name, *arguments = arguments
        if name not in command.commands:
            raise click.UsageError(f"no command {name}")
        command = command.commands[name]
    try:
        command.make_context("meterline", arguments)
    except click.exceptions.Exit:
        pass  # --help
    except click.BadParameter as error:
        if "does not exist" not in error.message:  # a file of the reader's
            raise


@pytest.mark.parametrize(
    ("page", "arguments"),
    [pytest.param(*case, id=f"{case[0]}: {' '.join(case[1])}") for case in CASES],
)
def test_a_command_that_is_shown_can_be_called_so(page: str, arguments: tuple[str, ...]) -> None:
    try:
        parse(list(arguments))
    except click.UsageError as error:
        pytest.fail(f"{page}: meterline {' '.join(arguments)}: {error.format_message()}")


def test_commands_are_found_and_wrong_ones_refused() -> None:
    (command, _cat) = commands("X=1 meterline db upgrade --fast | cat  # a note")
    assert ["meterline", "db", "upgrade", "--fast"] == command
    with pytest.raises(click.UsageError, match="--fast"):
        parse(command[1:])


def test_services_that_are_named_are_those_of_the_compose_file() -> None:
    named = set()
    for command in shown(ROOT / "docs/compose.md"):
        if command[:2] == ["docker", "compose"]:
            words = [word for word in command[2:] if not word.startswith("--")]
            verb = next(word for word in words if word in COMPOSE)
            rest = words[words.index(verb) + 1 :]
            named |= set(rest[:1] if verb in {"run", "exec"} else rest)
    assert (True, set()) == (len(named) > 4, named - set(SERVICES))


def names(group: click.Group, *before: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from names(command, *before, name)
        else:
            yield " ".join([*before, name])


@pytest.mark.parametrize(
    "group", [n for n, c in main.commands.items() if isinstance(c, click.Group)]
)
def test_every_command_of_a_group_is_named_under_its_heading(group: str) -> None:
    (text,) = re.findall(
        rf"^### meterline {group}$(.*?)(?=^##)", OPERATIONS, re.MULTILINE | re.DOTALL
    )
    command = main.commands[group]
    assert isinstance(command, click.Group)
    assert [] == [name for name in names(command) if not re.search(rf"`{name}\b", text)]
