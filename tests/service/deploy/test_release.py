"""What `make release` builds is complete: it runs in an environment that knows nothing else."""

import http.client
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from meterline import __version__
from tests.processes import Running, free_port, wait_until

ROOT = Path(__file__).parents[3]
PACKAGES = ("api", "cli", "collector", "costing", "exporter", "grafana", "ledger", "migrations")
USED_BY_THE_SAMPLE = ("openai",)
"""What the sample application imports and the server does not."""


def build(folder: Path, out: Path, *options: str) -> None:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        *options,
        "--outdir",
        out,
        folder,
    ]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of both wheels and both source archives."""
    out = tmp_path_factory.mktemp("dist")
    build(ROOT, out)
    build(ROOT / "sdk", out)
    return out


def versions(lock: Path) -> Iterator[str]:
    for name, version in re.findall(
        r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)", lock.read_text(), re.MULTILINE
    ):
        yield f"{name}=={version}"


@pytest.fixture(scope="module")
def programs(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the programs of an environment with the wheels and the locked dependencies."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "venv", with_pip=True, symlinks=True)
    pip: list[str | Path] = [
        folder / "venv/bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
    ]
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(versions(ROOT / "requirements/dev.lock")))
    lock = ROOT / "requirements/server.lock"
    subprocess.run([*pip, "--require-hashes", "-r", lock], check=True)
    subprocess.run([*pip, "-c", constraints, *USED_BY_THE_SAMPLE], check=True)
    subprocess.run([*pip, "--no-deps", *built.glob("*.whl")], check=True)
    return folder / "venv/bin"


def clean_environment(programs: Path, **settings: str) -> Mapping[str, str]:
    return {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(programs.parent), **settings}


def run(programs: Path, folder: Path, *command: str, **settings: str) -> str:
    done = subprocess.run(
        [programs / command[0], *command[1:]],
        cwd=folder,
        env=clean_environment(programs, **settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_both_distributions_have_the_one_version(programs: Path, tmp_path: Path) -> None:
    told = run(programs, tmp_path, "meterline", "--version")
    names = "'meterline', 'meterline-server'"
    code = f"from importlib.metadata import version; print({{version(n) for n in ({names})}})"
    assert (f"meterline, version {__version__}\n", f"{{'{__version__}'}}\n") == (
        told,
        run(programs, tmp_path, "python", "-c", code),
    )


def test_the_wheel_has_every_file_of_the_packages(built: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    (wheel,) = built.glob("meterline_server-*.whl")
    assert set() == set(tracked) - set(zipfile.ZipFile(wheel).namelist())


def test_the_image_is_built_from_the_same_wheel(built: Path, tmp_path: Path) -> None:
    kept = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    context = tmp_path / "context"
    for name in kept:
        source, target = ROOT / name, context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    build(context, tmp_path / "out", "--wheel")
    (released,) = built.glob("meterline_server-*.whl")
    assert released.read_bytes() == (tmp_path / "out" / released.name).read_bytes()


def test_the_demo_runs_from_the_wheels(programs: Path, tmp_path: Path) -> None:
    told = run(programs, tmp_path, "meterline", "demo", "--no-serve", "--days", "2")
    url = f"sqlite:///{tmp_path / 'meterline-demo.db'}"
    run(programs, tmp_path, "meterline", "verify", METERLINE_DATABASE_URL=url)
    assert "ledger: meterline-demo.db" in told


def post(port: int, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", path, headers=headers)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_the_sample_application_is_metered_from_the_wheels(programs: Path, tmp_path: Path) -> None:
    ledger = {"METERLINE_DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.db'}"}
    run(programs, tmp_path, "meterline", "db", "upgrade", **ledger)
    run(programs, tmp_path, "meterline", "tenant", "add", "acme", "--name", "Acme", **ledger)
    key = run(programs, tmp_path, "meterline", "key", "create", "--scope", "ingest", **ledger)
    providers, collector, host = free_port(), free_port(), free_port()
    examples = ROOT / "docs/examples"
    settings = {
        "PROVIDERS_URL": f"http://127.0.0.1:{providers}",
        "METERLINE_URL": f"http://127.0.0.1:{collector}",
        "METERLINE_KEY": key.split()[-1],
    }
    started = [
        Running(
            [programs / command[0], *command[1:]],
            folder=tmp_path,
            **clean_environment(programs, **ledger, **settings),
        )
        for command in (
            ["python", str(examples / "standins.py"), str(providers)],
            ["meterline", "serve", "--port", str(collector)],
            ["flask", "--app", str(examples / "host.py"), "run", "--port", str(host)],
        )
    ]
    logs = ", ".join(str(one.log) for one in started)
    try:
        wait_until(lambda: post(collector, "/readyz") != 0, f"the collector answers; {logs}")
        wait_until(
            lambda: post(host, "/incoming-sms", **{"X-Tenant": "acme"}) == http.client.OK,
            f"the sample answers; {logs}",
        )

        def exported() -> str:
            return run(programs, tmp_path, "meterline", "export", "--tenant", "acme", **ledger)

        channels = {"ai", "email", "sms"}
        wait_until(
            lambda: channels == {line.split(",")[1] for line in exported().splitlines()[1:]},
            f"usage of all three is costed; {logs}",
        )
    finally:
        for one in started:
            one.kill()
