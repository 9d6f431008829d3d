"""Tokens that the host signs: what holds, what is refused, and how it is told."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from api.auth.caller import Caller, caller
from api.auth.policy import require_role
from api.services import Services
from ledger.accounts.roles import Role
from ledger.errors import InvalidError
from ledger.settings import Settings
from ledger.tenant import TenantId
from tests.access import SECRET, bearer, claims, host_settings, operator, sign
from tests.builders import NOW

Ask = Callable[..., TestResponse]


def client_of(services: Services, settings: Settings, seen: list[Caller]) -> FlaskClient:
    """Return a client of an application with one more route, which notes who called."""
    app = create_app(replace(services, settings=settings))

    @app.route("/probe")
    @require_role(*Role)
    def probe() -> str:
        seen.append(caller())
        return ""

    return app.test_client()


@pytest.fixture
def seen() -> list[Caller]:
    return []


@pytest.fixture
def ask(services: Services, seen: list[Caller]) -> Ask:
    """Ask with claims signed as they should be, or with a token; settings can be changed."""

    def ask(credential: dict[str, Any] | str, **changes: Any) -> TestResponse:
        token = credential if isinstance(credential, str) else sign(credential)
        client = client_of(services, host_settings(**changes), seen)
        return client.get("/probe", headers=bearer(token))

    return ask


def told(response: TestResponse) -> tuple[int, str | None]:
    """Return status and code."""
    body = response.get_json(silent=True)
    return response.status_code, body and body["code"]


def unsigned(payload: dict[str, Any], **header: Any) -> str:
    parts = [json.dumps(part).encode() for part in ({"typ": "JWT", **header}, payload)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def test_a_token_names_subject_role_and_tenant(ask: Ask, seen: list[Caller]) -> None:
    ask(claims())
    expected = Caller(subject="usr_17", role=Role.TENANT_ADMIN, tenant_id=TenantId("acme"))
    assert [expected] == seen


def test_an_operator_has_no_tenant(ask: Ask, seen: list[Caller]) -> None:
    ask(operator())
    assert [Caller(subject="usr_17", role=Role.ROOT_ADMIN, tenant_id=None)] == seen


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW.timestamp() - 30},
        {"exp": ...},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 10**400},
        {"nbf": NOW.timestamp() + 31},
        {"nbf": "soon"},
        {"iat": NOW.timestamp() + 31},
        {"iss": ...},
        {"iss": "https://other.example"},
        {"iss": ["https://host.example"]},
        {"aud": ...},
        {"aud": "other"},
        {"aud": []},
        {"aud": "meterline-staging"},
        {"sub": ...},
        {"sub": ""},
        {"sub": None},
        {"sub": True},
        {"sub": "x" * 256},
        {"sub": "line\nline"},
    ],
)
def test_a_token_whose_claims_do_not_hold_is_401(ask: Ask, changes: dict[str, Any]) -> None:
    assert (401, "invalid_credential") == told(ask(claims(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW.timestamp() - 29},
        {"nbf": NOW.timestamp() + 29},
        {"iat": (NOW - timedelta(days=1)).timestamp()},
        {"aud": ["other", "meterline"]},
        {"sub": 17},
    ],
)
def test_a_token_whose_claims_just_hold_is_taken(ask: Ask, changes: dict[str, Any]) -> None:
    assert 200 == ask(claims(**changes)).status_code


@pytest.mark.parametrize(
    "token",
    [
        sign(claims(), "another secret of thirty-two bytes or so"),
        sign(claims(), SECRET * 2, "HS512"),
        sign(claims())[:-1],
        sign(claims()).rpartition(".")[0] + ".",
        unsigned(claims(), alg="none"),
        unsigned(claims(), alg="None"),
        unsigned(claims(), alg="HS256"),
        unsigned(claims()),
        "not.a.token",
        "nothing",
        "..",
        "a" * 5000,
    ],
)
def test_a_token_that_was_not_signed_as_agreed_is_401(ask: Ask, token: str) -> None:
    assert (401, "invalid_credential") == told(ask(token))


def test_a_token_whose_payload_was_changed_is_401(ask: Ask) -> None:
    head, _, signature = sign(claims()).split(".")
    payload = sign(operator()).split(".")[1]
    assert (401, "invalid_credential") == told(ask(f"{head}.{payload}.{signature}"))


def test_a_refusal_does_not_repeat_the_token(ask: Ask) -> None:
    token = sign(claims(aud="other"))
    assert token not in ask(token).text


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"role": ...}, "unknown_role"),
        ({"role": "king"}, "unknown_role"),
        ({"role": ["tenant_admin"]}, "unknown_role"),
        ({"role": None}, "unknown_role"),
        ({"role": "root_admin"}, "role_with_tenant"),
        ({"role": "ops"}, "role_with_tenant"),
        ({"tenant_id": "umbrella"}, "unknown_tenant"),
        ({"tenant_id": "../acme"}, "unknown_tenant"),
        ({"tenant_id": ""}, "unknown_tenant"),
        ({"tenant_id": ["acme"]}, "unknown_tenant"),
        ({"tenant_id": True}, "unknown_tenant"),
        ({"tenant_id": 42}, "unknown_tenant"),
    ],
)
def test_a_token_whose_role_or_tenant_is_none_of_ours_is_403(
    ask: Ask, changes: dict[str, Any], code: str
) -> None:
    assert (403, code) == told(ask(claims(**changes)))


def test_claims_have_the_names_that_the_settings_give(ask: Ask, seen: list[Caller]) -> None:
    ask(
        claims(role=..., tenant_id=..., sub=..., **{"r": "ops", "https://x/t": None, "uid": 9}),
        jwt_role_claim="r",
        jwt_tenant_claim="https://x/t",
        jwt_subject_claim="uid",
    )
    assert [Caller(subject="9", role=Role.OPS)] == seen


def test_a_mapping_replaces_our_own_names(ask: Ask) -> None:
    mapping = {"jwt_roles": {"owner": Role.TENANT_ADMIN}}
    answers = [told(ask(claims(role=role), **mapping)) for role in ("owner", "tenant_admin")]
    assert [(200, None), (403, "unknown_role")] == answers


def test_where_no_algorithm_is_set_tokens_of_a_host_are_401(services: Services) -> None:
    response = client_of(services, Settings(), []).get("/probe", headers=bearer(sign(claims())))
    assert (401, "invalid_credential") == told(response)


def test_a_key_pairs_key_is_no_shared_secret(services: Services) -> None:
    public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(InvalidError, match="METERLINE_JWT_SECRET"):
        client_of(services, host_settings(jwt_secret=pem), [])
