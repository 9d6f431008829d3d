"""Starts Debian's InfluxDB 1.6.7 on loopback, with its data in a temporary folder.

It lacks one path that 1.8 and later have, `/api/v2/write`, so nginx stands in front of it and
translates that one: a bucket is a database. Everything else is passed on as it is.
"""

import http.client
import os
import shutil
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from tests.processes import Running, free_port, wait_until

INFLUXD, NGINX = "influxd", "nginx"

_LOOPBACK = "127.0.0.1"
_NO_CONTENT = 204
_OK = 200

_INFLUXD_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{http}"
log-enabled = false
[continuous_queries]
enabled = false
"""

_NGINX_CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_http_version 1.1;
  server {{
    listen 127.0.0.1:{port};
    location = /api/v2/write {{
      proxy_pass http://127.0.0.1:{http}/write?db=$arg_bucket&precision=$arg_precision;
    }}
    location / {{ proxy_pass http://127.0.0.1:{http}; }}
  }}
}}
"""


class Answer(NamedTuple):
    """What the engine answered."""

    status: int
    body: bytes


class Influx:
    """A running InfluxDB. `url` is that of the translation; `bare_port` the engine's own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.bare_port, self._rpc_port, self.port = free_port(), free_port(), free_port()
        self.url = f"http://{_LOOPBACK}:{self.port}"
        self._engine: Running | None = None
        self._proxy = self._start_proxy()
        self.start()

    def start(self) -> None:
        """Start the engine on the data that is there, and wait until it answers."""
        config = self._folder / "influxd.conf"
        config.write_text(
            _INFLUXD_CONFIG.format(folder=self._folder, http=self.bare_port, rpc=self._rpc_port)
        )
        self._engine = Running([_find(INFLUXD), "-config", config], folder=self._folder)
        wait_until(self._is_up, f"InfluxDB answers; {self._engine.log}")

    def kill(self) -> None:
        """SIGKILL the engine; its port is closed until it is started again."""
        if self._engine is not None:
            self._engine.kill()
            self._engine = None

    def close(self) -> None:
        """End everything that was started here."""
        self.kill()
        self._proxy.kill()

    def post(
        self, path: str, body: bytes = b"", *, method: str = "POST", **parameters: str
    ) -> Answer:
        """Send a request to the engine itself, past the translation."""
        connection = http.client.HTTPConnection(_LOOPBACK, self.bare_port, timeout=60)
        try:
            target = f"{path}?{urllib.parse.urlencode(parameters)}"
            connection.request(method, target, body)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()

    def query(self, text: str, *, db: str = "meterline") -> list[dict[str, Any]]:
        """Run InfluxQL on the engine itself and return the series, without any code of ours."""
        answer = self.post("/query", db=db, q=text, epoch="ns")
        assert answer.status == _OK, answer
        result = orjson.loads(answer.body)["results"][0]
        assert "error" not in result, result
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def value(self, text: str, *, db: str = "meterline") -> Any:
        """Return the one value of a query with one function in it; None where there is no point."""
        series = self.query(text, db=db)
        return series[0]["values"][0][1] if series else None

    def write(self, *lines: str, db: str = "meterline") -> None:
        """Write ready-made lines past everything."""
        answer = self.post("/write", "\n".join(lines).encode(), db=db)
        assert answer.status == _NO_CONTENT, answer

    def _is_up(self) -> bool:
        if self._engine is not None and self._engine.has_ended():
            raise AssertionError(f"InfluxDB ended: {self._engine.log.read_text()}")
        try:
            return self.post("/ping", method="GET").status == _NO_CONTENT
        except (OSError, http.client.HTTPException):
            return False

    def _start_proxy(self) -> Running:
        config = self._folder / "nginx.conf"
        config.write_text(
            _NGINX_CONFIG.format(folder=self._folder, port=self.port, http=self.bare_port)
        )
        log = self._folder / "nginx-error.log"
        options: list[str | Path] = ["-p", self._folder, "-c", config, "-e", log]
        return Running([_find(NGINX), *options], folder=self._folder)


def find_missing() -> Sequence[str]:
    """Return the names of the programs that are needed and not there."""
    return [name for name in (INFLUXD, NGINX) if _which(name) is None]


def require_influx() -> None:
    """Skip the test where a program is missing; fail it where that is CI."""
    missing = find_missing()
    if not missing:
        return
    text = f"no {' and no '.join(missing)}: apt-get install influxdb nginx-light"
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)


def _find(name: str) -> str:
    path = _which(name)
    if path is None:
        raise FileNotFoundError(f"there is no {name}")
    return path


def _which(name: str) -> str | None:
    # Debian keeps nginx where ordinary users do not look.
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
