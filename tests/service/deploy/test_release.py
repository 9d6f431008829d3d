"""What `make release` builds is complete: it runs in an environment that knows nothing else."""

import http.client
import re
import shutil
import sqlite3
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from contextlib import closing
from importlib import metadata
from importlib.util import cache_from_source
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


class Pin(NamedTuple):
    """A package as a lock has it, with its hashes."""

    version: str
    marker: str
    hashes: frozenset[str]


def read_lock(name: str) -> dict[str, Pin]:
    text = (ROOT / "requirements" / name).read_text()
    found = re.findall(
        r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==([^\s;\\]+)(?: ; ([^\\\n]+))?((?:[ \\\n]+--hash=\S+)+)",
        text,
        re.MULTILINE,
    )
    assert len(re.findall("^[a-z]", text, re.MULTILINE)) == len(found)
    return {
        name: Pin(version, marker.strip(), frozenset(re.findall(r"--hash=(\S+)", hashes)))
        for name, version, marker, hashes in found
    }


def needed_by(*names: str) -> set[str]:
    """Return these packages and what they need, and that needs."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found.add(name)
            wanted = [Requirement(one) for one in metadata.requires(name) or ()]
            here = {"extra": ""}
            waiting += [o.name for o in wanted if o.marker is None or o.marker.evaluate(here)]
    return found


def link(name: str, version: str, site: Path) -> None:
    """Put a package that this environment has into another one; its programs are left out."""
    distribution = metadata.distribution(name)
    assert version == distribution.version
    for file in distribution.files or ():
        if ".." in file.parts or "__pycache__" in file.parts:
            continue
        source = Path(str(distribution.locate_file(file)))
        compiled = Path(cache_from_source(str(source)))
        for one in (source, compiled):
            target = site / Path(str(file)).parent / one.relative_to(source.parent)
            if one.exists() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                place(one, target)


def place(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # another file system
        shutil.copy2(source, target)


@pytest.fixture(scope="module")
def programs(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the programs of an environment with the wheels and the locked dependencies.

    The lock's packages are those that are installed here, by the same lines of dev.lock: to
    download and unpack them again would take longer than all the tests of this file.
    """
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    locked, known = read_lock("server.lock"), read_lock("dev.lock")
    wanted = {n for n, p in locked.items() if not p.marker or Marker(p.marker).evaluate()}
    for name in wanted | needed_by(*USED_BY_THE_SAMPLE):
        link(name, known[name].version, site)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", folder / "bin/python"]
    install = ["install", "--quiet", "--no-compile", "--no-deps", "--no-index"]
    subprocess.run([*pip, *install, *built.glob("*.whl")], check=True)
    subprocess.run([*pip, "check"], check=True, capture_output=True)
    return folder / "bin"


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


def test_what_is_installed_from_the_lock_is_what_is_tested() -> None:
    tested = read_lock("dev.lock")
    assert {} == {
        name: pin
        for name, pin in read_lock("server.lock").items()
        if (pin.version, pin.hashes) != (tested[name].version, tested[name].hashes)
    }


@pytest.mark.parametrize(
    ("distribution", "folder", "packages"),
    [("meterline_server", "", PACKAGES), ("meterline", "sdk/src/", ("meterline",))],
)
def test_a_wheel_has_every_file_of_its_packages_and_the_licence(
    built: Path, distribution: str, folder: str, packages: tuple[str, ...]
) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", *packages],
        cwd=ROOT / folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    (wheel,) = (zipfile.ZipFile(one) for one in built.glob(f"{distribution}-[0-9]*.whl"))
    (licence,) = (name for name in wheel.namelist() if name.endswith("/licenses/LICENSE"))
    assert (set(), (ROOT / "LICENSE").read_bytes()) == (
        set(tracked) - set(wheel.namelist()),
        wheel.read(licence),
    )


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


def costed_channels(file: Path) -> set[str]:
    """Look into the ledger itself: a command would have to start for each look."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT channel FROM usage_rollups_daily WHERE tenant_id = 'acme'"
        )
        return {channel for (channel,) in rows}


def test_the_sample_application_is_metered_from_the_wheels(programs: Path, tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    ledger = {
        "METERLINE_DATABASE_URL": f"sqlite:///{file}",
        "METERLINE_AUTO_REGISTER_TENANTS": "true",
    }
    run(programs, tmp_path, "meterline", "db", "upgrade", **ledger)
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
            [
                "python",
                "-m",
                "flask",
                "--app",
                str(examples / "host.py"),
                "run",
                "--port",
                str(host),
            ],
        )
    ]
    logs = ", ".join(str(one.log) for one in started)
    try:
        wait_until(lambda: post(collector, "/readyz") != 0, f"the collector answers; {logs}")
        wait_until(
            lambda: post(host, "/incoming-sms", **{"X-Tenant": "acme"}) == http.client.OK,
            f"the sample answers; {logs}",
        )
        wait_until(
            lambda: costed_channels(file) == {"ai", "email", "sms"},
            f"usage of all three is costed; {logs}",
        )
        exported = run(programs, tmp_path, "meterline", "export", "--tenant", "acme", **ledger)
        assert {"ai", "email", "sms"} == {line.split(",")[1] for line in exported.splitlines()[1:]}
    finally:
        for one in started:
            one.kill()
