"""Public keys of the host, from a real HTTP server on loopback or from a file."""

import hmac
import json
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode
from jwt.warnings import InsecureKeyLengthWarning
from werkzeug.test import TestResponse

from api.app import create_app
from api.services import Services
from ledger.settings import Settings
from tests.access import bearer, host_settings, operator, sign
from tests.builders import NOW

PATH = "/api/admin/tenants/acme"

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Ask = Callable[..., TestResponse]


def make_rsa(size: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=size)


@pytest.fixture(scope="module")
def old() -> rsa.RSAPrivateKey:
    return make_rsa()


@pytest.fixture(scope="module")
def new() -> rsa.RSAPrivateKey:
    return make_rsa()


def entry(key: Key, kid: str | None = "old", **changes: Any) -> dict[str, Any]:
    """Return the public part of a key as it stands in a key set."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        found = RSAAlgorithm.to_jwk(public, as_dict=True)
    else:
        found = ECAlgorithm.to_jwk(public, as_dict=True)
    named = {} if kid is None else {"kid": kid}
    return {k: v for k, v in {**found, **named, **changes}.items() if v is not ...}


def key_set(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"keys": entries}).encode()


class Host:
    """A server whose answer can be changed; it counts how often it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, key_set()
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked.append(self.path)
                self.send_response(host.status)
                for name, value in host.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(host.body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/keys"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.close()


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> Any:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def settings_for(jwks: str, algorithm: str = "RS256") -> Settings:
    return host_settings(jwt_algorithm=algorithm, jwt_secret=None, jwt_jwks=jwks)


@pytest.fixture
def ask(services: Services, host: Host, clock: Clock) -> Ask:
    """Ask as a root admin, by a token that the key signed; all ask one and the same application."""
    settings = settings_for(host.url)
    client = create_app(replace(services, settings=settings, clock=clock)).test_client()

    def ask(key: Any, kid: str | None = "old", algorithm: str = "RS256") -> TestResponse:
        payload = operator(exp=(clock.now + timedelta(minutes=1)).timestamp())
        return client.get(PATH, headers=bearer(sign(payload, key, algorithm, kid)))

    return ask


def test_a_token_of_a_known_key_is_taken_and_the_keys_are_read_once(
    ask: Ask, host: Host, old: Key
) -> None:
    host.body = key_set(entry(old))
    statuses = [ask(old).status_code for _ in range(3)]
    assert ([200, 200, 200], ["/keys"]) == (statuses, host.asked)


def test_a_new_key_of_the_host_is_found_without_a_restart(
    ask: Ask, host: Host, clock: Clock, old: Key, new: Key
) -> None:
    host.body = key_set(entry(old))
    before = [ask(old).status_code, ask(new, "new").status_code]
    host.body = key_set(entry(old), entry(new, "new"))
    clock.pass_by(30)
    after = [ask(new, "new").status_code, ask(old).status_code]
    assert ([200, 401], [200, 200]) == (before, after)


def test_a_key_that_the_host_took_back_is_refused_after_ten_minutes(
    ask: Ask, host: Host, clock: Clock, old: Key, new: Key
) -> None:
    host.body = key_set(entry(old))
    before = ask(old).status_code
    host.body = key_set(entry(new, "new"))
    clock.pass_by(600)
    assert (200, 401) == (before, ask(old).status_code)


def test_invented_key_ids_do_not_make_the_host_work(
    ask: Ask, host: Host, clock: Clock, old: Key
) -> None:
    host.body = key_set(entry(old))
    for number in range(61):
        ask(old, f"invented-{number}")
        clock.pass_by(1)
    assert 3 == len(host.asked)


def test_a_token_with_another_algorithm_does_not_even_ask_the_host(
    ask: Ask, host: Host, old: Key
) -> None:
    host.body = key_set(entry(old))
    response = ask("a secret of at least thirty-two bytes", "old", "HS256")
    assert (401, []) == (response.status_code, host.asked)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("named", ["HS256", "RS256"])
def test_a_token_signed_with_the_public_key_as_a_secret_is_401(
    services: Services, host: Host, old: Key, encoding: Encoding, named: str
) -> None:
    host.body = key_set(entry(old))
    public = old.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    parts = [{"alg": named, "kid": "old", "typ": "JWT"}, operator()]
    signed = b".".join(base64url_encode(json.dumps(part).encode()) for part in parts)
    signature = base64url_encode(hmac.digest(public, signed, "sha256"))
    client = create_app(replace(services, settings=settings_for(host.url))).test_client()
    response = client.get(PATH, headers=bearer(b".".join([signed, signature]).decode()))
    assert 401 == response.status_code


def test_a_token_of_another_key_under_a_known_id_is_401(
    ask: Ask, host: Host, old: Key, new: Key
) -> None:
    host.body = key_set(entry(old))
    assert 401 == ask(new, "old").status_code


def test_a_token_without_a_key_id_is_401(ask: Ask, host: Host, old: Key) -> None:
    host.body = key_set(entry(old))
    assert 401 == ask(old, None).status_code


@pytest.mark.parametrize(
    "changes",
    [{"use": "enc"}, {"alg": "RS512"}, {"alg": "PS256"}, {"kty": "EC"}, {"n": "!"}, {"kid": 7}],
)
def test_a_key_for_something_else_verifies_nothing(
    ask: Ask, host: Host, old: Key, changes: dict[str, Any]
) -> None:
    host.body = key_set(entry(old, **changes))
    assert 401 == ask(old).status_code


def test_a_key_for_something_else_does_not_hide_a_good_one(ask: Ask, host: Host, old: Key) -> None:
    strange: list[Any] = [{"kty": "oct", "kid": "s", "k": "AAAA"}, {}, 7, entry(old, "x", n="!")]
    host.body = key_set(*strange, entry(old, use=..., alg="RS256"))
    assert 200 == ask(old).status_code


def test_a_key_that_is_too_short_verifies_nothing(ask: Ask, host: Host) -> None:
    short = make_rsa(1024)
    host.body = key_set(entry(short))
    with warnings.catch_warnings(category=InsecureKeyLengthWarning):
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        assert 401 == ask(short).status_code


def test_a_symmetric_key_in_a_key_set_is_no_secret_to_sign_with(ask: Ask, host: Host) -> None:
    secret = b"a secret that stands in a public place"
    host.body = key_set({"kty": "oct", "kid": "old", "k": base64url_encode(secret).decode()})
    assert 401 == ask(secret, "old", "HS256").status_code


def test_a_token_may_be_signed_with_es256(services: Services, host: Host) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    host.body = key_set(entry(key, "old"))
    settings = settings_for(host.url, "ES256")
    client = create_app(replace(services, settings=settings)).test_client()
    response = client.get(PATH, headers=bearer(sign(operator(), key, "ES256", "old")))
    assert 200 == response.status_code


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, b""),
        (404, {}, b""),
        (302, {"Location": "/elsewhere"}, b""),
        (200, {}, b"<html>"),
        (200, {}, b"[]"),
        (200, {}, b'{"keys": {}}'),
        (200, {}, b"\xff"),
        (200, {}, b" " * 300_000),
        (200, {"Content-Length": "99"}, b"{}"),
    ],
)
def test_keys_that_cannot_be_read_are_503_with_a_time_to_retry(
    ask: Ask, host: Host, old: Key, answer: tuple[int, dict[str, str], bytes]
) -> None:
    host.status, host.headers, host.body = answer
    response = ask(old)
    found = (response.status_code, response.get_json()["code"], "Retry-After" in response.headers)
    assert (503, "jwks_unavailable", True) == found


def test_a_redirect_of_the_host_is_not_followed(ask: Ask, host: Host, old: Key) -> None:
    host.status, host.headers = 302, {"Location": "/elsewhere"}
    ask(old)
    assert ["/keys"] == host.asked


def test_a_host_that_is_not_there_is_503(services: Services, host: Host, old: Key) -> None:
    host.close()
    settings = settings_for(host.url)
    client = create_app(replace(services, settings=settings)).test_client()
    response = client.get(PATH, headers=bearer(sign(operator(), old, "RS256", "old")))
    assert 503 == response.status_code


def test_a_host_that_fails_is_asked_again_after_five_seconds_and_not_before(
    ask: Ask, host: Host, clock: Clock, old: Key
) -> None:
    host.status, host.body = 500, key_set(entry(old))
    first = [ask(old).status_code for _ in range(3)]
    asked = len(host.asked)
    host.status = 200
    clock.pass_by(5)
    assert ([503] * 3, 1, 200) == (first, asked, ask(old).status_code)


def test_keys_are_used_for_an_hour_while_the_host_does_not_answer(
    ask: Ask, host: Host, clock: Clock, old: Key
) -> None:
    host.body = key_set(entry(old))
    statuses = [ask(old).status_code]
    host.status = 500
    for seconds in (3599, 1):
        clock.pass_by(seconds)
        statuses.append(ask(old).status_code)
    assert [200, 200, 503] == statuses


def test_an_unknown_key_id_is_503_while_the_host_does_not_answer(
    ask: Ask, host: Host, clock: Clock, old: Key
) -> None:
    host.body = key_set(entry(old))
    ask(old)
    host.status = 500
    clock.pass_by(30)
    assert [503, 200] == [ask(old, "unknown").status_code, ask(old).status_code]


def test_keys_may_be_in_a_file_that_is_read_anew(
    services: Services, clock: Clock, tmp_path: Path, old: Key, new: Key
) -> None:
    file = tmp_path / "keys.json"
    settings = settings_for(str(file))
    client = create_app(replace(services, settings=settings, clock=clock)).test_client()
    statuses = []
    for body in (None, key_set(entry(old)), key_set(entry(new, "old"))):
        if body is not None:
            file.write_bytes(body)
        payload = operator(exp=(clock.now + timedelta(minutes=1)).timestamp())
        headers = bearer(sign(payload, old, "RS256", "old"))
        statuses.append(client.get(PATH, headers=headers).status_code)
        clock.pass_by(600)
    assert [503, 200, 401] == statuses
