"""nginx in front of a server of ours, as in production: it ends TLS and rewrites the host."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.processes import Running, free_port, wait_until
from tests.servers.presence import find_program

PUBLIC_HOST = "meter.example"
"""The name that the certificate has, and that nobody behind nginx hears of."""

SHIPPED_SERVER = Path(__file__).parents[2] / "deploy/nginx/server.conf"
"""What the files that we ship include in the block of their server."""

_LOOPBACK = "127.0.0.1"

_CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 64; }}
http {{
  access_log {folder}/access.log;
  client_max_body_size 0;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_http_version 1.1;
  server {{
    listen 127.0.0.1:{port} ssl;
    server_name {host};
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_set_header Host meterline.internal:8000;
      proxy_set_header X-Forwarded-Proto http;
    }}
  }}
}}
"""


_AROUND = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 256; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
"""


class Nginx:
    """A running nginx. `upstream` is the port that it passes on to, `port` its own, with TLS."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.upstream = free_port(), free_port()
        self._folder = folder
        self._start(self._configure())

    def _configure(self) -> str:
        return _CONFIG.format(
            folder=self._folder, port=self.port, upstream=self.upstream, host=PUBLIC_HOST
        )

    def _start(self, text: str) -> None:
        folder = self._folder
        program = find_program("nginx", Path("/usr/sbin"))
        self.trusting = ssl.create_default_context(cafile=str(_make_certificate(folder)))
        config, log = folder / "nginx.conf", folder / "nginx-error.log"
        config.write_text(text)
        options: list[str | Path] = ["-p", folder, "-c", config, "-e", log]
        self._running = Running([program, *options], folder=folder)
        wait_until(self._is_up, f"nginx answers; {log}")

    def close(self) -> None:
        """End it."""
        self._running.kill()

    def _is_up(self) -> bool:
        if self._running.has_ended():
            raise AssertionError(f"nginx ended: {self._running.log.read_text()}")
        try:
            ssl.get_server_certificate((_LOOPBACK, self.port), timeout=5)
        except OSError:
            return False
        return True


class Edge(Nginx):
    """nginx by the file that we ship, in which addresses and paths alone are others.

    Args:
        folder: for what it writes.
        meterline: the port that Meterline listens on.
        grafana: that of Grafana.
        shipped: the text of the file.
    """

    def __init__(self, folder: Path, *, meterline: int, grafana: int, shipped: str) -> None:
        self._places = {
            "127.0.0.1:8000": f"127.0.0.1:{meterline}",
            "127.0.0.1:3000": f"127.0.0.1:{grafana}",
            "/etc/nginx/tls/certificate.pem": f"{folder}/certificate.pem",
            "/etc/nginx/tls/key.pem": f"{folder}/key.pem",
            "/etc/nginx/meterline/server.conf": f"{SHIPPED_SERVER}",
        }
        self._shipped = shipped
        self.plain_port = free_port()
        super().__init__(folder)

    def _configure(self) -> str:
        text = self._shipped
        listening = {
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
            "listen 80": f"listen 127.0.0.1:{self.plain_port}",
        }
        for place, ours in {**self._places, **listening}.items():
            assert 1 == text.count(place), place
            text = text.replace(place, ours)
        return _AROUND.format(folder=self._folder) + text + "}\n"


def _make_certificate(folder: Path) -> Path:
    """Write a key and a certificate that nobody else trusts, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, PUBLIC_HOST)])
    now = datetime.now(UTC)  # noqa: TID251 - TLS compares it with the clock of the machine
    names: list[x509.GeneralName] = [
        x509.DNSName(PUBLIC_HOST),
        x509.IPAddress(ip_address(_LOOPBACK)),
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(secret)
    path = folder / "certificate.pem"
    path.write_bytes(made.public_bytes(Encoding.PEM))
    return path
