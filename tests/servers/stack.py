"""The compose stack without Docker: what docker-compose.yml says, as processes of this machine.

Each service is started with its own command line, its own environment and its own configuration
files. What differs is what containers bring: names become loopback ports, mounted places become
files of a temporary folder. PostgreSQL and InfluxDB are Debian's, made and started as their images
would (`postgres-init.sh` runs as it is); a stand-in is in Grafana's place.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.processes import Running, free_port, wait_until
from tests.servers.influx import Influx
from tests.servers.postgresql import DEBIAN, SUPERUSER, PostgreSql
from tests.servers.presence import find_program
from tests.standins.grafana_api import GrafanaStandIn

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"

_LOOPBACK = "127.0.0.1"
_MOUNTED = re.compile(r"^(?P<source>[^:]+):(?P<target>[^:]+)(:ro)?$")
_DEFAULT = re.compile(r"\$\{\w+:-(?P<default>[^}]*)\}")
_PORTS = {
    "api": 8000,
    "exporter": 9464,
    "prometheus": 9090,
    "alertmanager": 9093,
    "nginx": 8443,
}
_PLAIN_PORT = 8080
_COPIED = {".conf", ".yml", ".yaml"}


class Stack:
    """What docker-compose.yml describes, running."""

    def __init__(self, folder: Path) -> None:
        self.services: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
        self._folder = folder
        self._open = ExitStack()
        self._secrets = folder / "secrets"
        subprocess.run([ROOT / "deploy/compose/make-secrets", self._secrets], check=True)
        self.postgres = PostgreSql()
        self._open.callback(self.postgres.close)
        self.influx = Influx(folder / "influx")
        self._open.callback(self.influx.close)
        self.grafana = GrafanaStandIn(password=self.secret("meterline_grafana_password"))
        self._open.callback(self.grafana.close)
        self.ports = {name: free_port() for name in _PORTS}
        self.plain_port = free_port()
        self._make_ledger()

    def close(self) -> None:
        """End everything, the last that was started first."""
        self._open.close()

    def secret(self, name: str) -> str:
        """Return what a secret is."""
        return (self._secrets / name).read_text()

    def signing_keys(self) -> bytes:
        """Return what Grafana reads of the volume with keys when it starts."""
        return (self._mount("grafana", "grafana-keys") / "jwks.json").read_bytes()

    def run(self, name: str, *arguments: str) -> str:
        """Run a service that ends, or a command in its place; return what it prints."""
        command = list(arguments) or self.services[name]["command"]
        done = subprocess.run(
            [_meterline(), *command],
            cwd=self._folder,
            env={**os.environ, **self._environment(name)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, (command, done.stdout, done.stderr)
        return done.stdout

    def start(self, name: str) -> Running:
        """Start a service that stays."""
        service = self.services[name]
        match name:
            case "nginx":
                command: list[str | Path] = [find_program(name, Path("/usr/sbin"))]
                command += ["-c", self._nginx_config(), "-e", self._folder / "nginx-error.log"]
            case "prometheus" | "alertmanager":
                command = [find_program(_DEBIAN_NAMES.get(name, name))]
                command += [self._place(name, one) for one in service["command"]]
                command.append(f"--web.listen-address={_LOOPBACK}:{self.ports[name]}")
                if name == "alertmanager":  # alone here; by default it looks for others
                    command.append("--cluster.listen-address=")
            case _:
                command = [_meterline(), *(self._ours(name, one) for one in service["command"])]
        running = Running(command, folder=self._folder, **self._environment(name))
        self._open.callback(running.kill)
        return running

    def is_healthy(self, name: str) -> bool:
        """Tell what a service's own health check finds."""
        command = self.services[name]["healthcheck"]["test"]
        if command[0] != "CMD":
            raise AssertionError(f"the health check of {name} needs a shell")
        done = subprocess.run(
            self._check(name, command[1:]),
            env={**os.environ, **self._environment(name)},
            capture_output=True,
            check=False,
            timeout=60,
        )
        return done.returncode == 0

    def wait(self, name: str, running: Running) -> None:
        """Wait until a service's health check finds it well."""

        def is_well() -> bool:
            assert not running.has_ended(), running.log.read_text()
            return self.is_healthy(name)

        wait_until(is_well, f"{name} is well; {running.log}", seconds=60)

    def _make_ledger(self) -> None:
        """Do what PostgreSQL's image does in an empty cluster: run the mounted script."""
        places = [_MOUNTED.match(one) for one in self.services["postgres"]["volumes"]]
        (script,) = [
            ROOT / found["source"]
            for found in places
            if found and found["target"].startswith("/docker-entrypoint-initdb.d/")
        ]
        # The tests' own login is none of the stack's.
        self.postgres.administer("ALTER ROLE meterline RENAME TO unused")
        subprocess.run(
            ["bash", script],
            env={
                "PATH": f"{DEBIAN[0]}:{os.environ['PATH']}",
                "PGHOST": _LOOPBACK,
                "PGPORT": str(self.postgres.port),
                "POSTGRES_USER": SUPERUSER,
                "METERLINE_POSTGRES_PASSWORD_FILE": str(
                    self._secrets / "meterline_postgres_password"
                ),
            },
            check=True,
            capture_output=True,
        )
        url = self._secrets / "meterline_database_url"
        text = url.read_text().replace("@postgres/", f"@{_LOOPBACK}:{self.postgres.port}/")
        url.unlink()
        url.write_text(text)

    def _environment(self, name: str) -> dict[str, str]:
        told = self.services[name].get("environment", {})
        return {key: self._place(name, str(value)) for key, value in told.items()}

    def _place(self, name: str, text: str) -> str:
        """Put ports of this machine for names of services, and files here for mounted ones."""
        places = {"/run/secrets": str(self._secrets)}
        for one in self.services[name].get("volumes", []):
            found = _MOUNTED.match(one)
            if found is not None:
                places[found["target"]] = str(self._mount(name, found["source"]))
        longest = sorted(places, key=len, reverse=True)
        # In one go: what was put in is not looked at again.
        pattern = rf"(?<![\w.])({'|'.join(map(re.escape, longest))})(?![\w-])"
        text = _DEFAULT.sub(lambda found: found["default"], text)
        return self._put_addresses(re.sub(pattern, lambda found: places[found[1]], text))

    def _addresses(self) -> dict[str, int]:
        return {
            **{f"{name}:{port}": self.ports[name] for name, port in _PORTS.items()},
            "influxdb:8086": self.influx.port,
            "grafana:3000": urlsplit(self.grafana.url).port or 0,
            f"{_LOOPBACK}:9090": self.ports["prometheus"],
        }

    def _mount(self, name: str, source: str) -> Path:
        """Return a copy of what is mounted, with addresses of this machine; volumes are folders."""
        if not source.startswith("./"):
            place = self._folder / source
            place.mkdir(exist_ok=True)
            return place
        place = self._folder / "mounted" / name / source
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            original = ROOT / source
            (shutil.copytree if original.is_dir() else shutil.copy)(original, place)
            files = place.rglob("*") if place.is_dir() else [place]
            for file in files:
                if file.suffix in _COPIED:
                    file.write_text(self._put_addresses(file.read_text()))
        return place

    def _put_addresses(self, text: str) -> str:
        for service, port in self._addresses().items():
            text = text.replace(service, f"{_LOOPBACK}:{port}")
        return text

    def _ours(self, name: str, argument: str) -> str:
        ports = {str(_PORTS[name]): str(self.ports[name])} if name in _PORTS else {}
        return {"0.0.0.0": _LOOPBACK, **ports}.get(argument, argument)

    def _nginx_config(self) -> Path:
        """Return a main file as that of the image, around the mounted ones."""
        volumes = [_MOUNTED.match(one) for one in self.services["nginx"]["volumes"]]
        mounted = {
            found["target"]: self._mount("nginx", found["source"]) for found in volumes if found
        }
        server = mounted["/etc/nginx/conf.d/default.conf"].read_text()
        for place, ours in {
            "/etc/nginx/meterline/server.conf": mounted["/etc/nginx/meterline/server.conf"],
            "/run/secrets": self._secrets,
            "listen 8443": f"listen {_LOOPBACK}:{self.ports['nginx']}",
            "listen 8080": f"listen {_LOOPBACK}:{self.plain_port}",
        }.items():
            assert place in server, place
            server = server.replace(place, str(ours))
        config = self._folder / "nginx.conf"
        temporary = "\n".join(
            f"  {kind}_temp_path {self._folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config.write_text(
            f"daemon off;\npid {self._folder}/nginx.pid;\nevents {{}}\n"
            f"http {{\n  access_log {self._folder}/access.log;\n{temporary}\n{server}}}\n"
        )
        return config

    def _check(self, name: str, command: list[str]) -> list[str | Path]:
        """Return a health check for here: images have programs that this machine may lack."""
        inside = f"{_LOOPBACK}:{_PORTS[name]}" if name in _PORTS else ""
        outside = f"{_LOOPBACK}:{self.ports[name]}" if name in _PORTS else ""
        placed = [one.replace(inside, outside) if inside else one for one in command]
        placed = [
            one.replace(f"{_LOOPBACK}:{_PLAIN_PORT}", f"{_LOOPBACK}:{self.plain_port}")
            for one in placed
        ]
        match placed[0]:
            case "meterline":
                return [_meterline(), *placed[1:]]
            case "python":
                return [sys.executable, *placed[1:]]
            case "wget" | "curl":
                code = f"import urllib.request as r; r.urlopen({placed[-1]!r}, timeout=5)"
                return [sys.executable, "-c", code]
            case "pg_isready":
                program = find_program("pg_isready", *DEBIAN)
                return [program, *placed[1:], "--port", str(self.postgres.port)]
            case _:
                raise AssertionError(f"the health check of {name} is {shlex.join(command)}")


_DEBIAN_NAMES = {"alertmanager": "prometheus-alertmanager"}


def _meterline() -> Path:
    return Path(sys.executable).parent / "meterline"
