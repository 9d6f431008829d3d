import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic_settings import BaseSettings

from ledger.accounts.roles import Role
from ledger.errors import InvalidError
from ledger.setting_values import parse_owned
from ledger.settings import Settings, load_settings


def test_without_any_setting_the_ledger_is_a_file_in_the_current_folder() -> None:
    assert "sqlite:///meterline.db" == load_settings().database_url.get_secret_value()


def test_all_faults_are_reported_together_and_no_value_is_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("METERLINE_HASH_KEY", "shortsecret")
    monkeypatch.setenv("METERLINE_MAX_BODY_BYTES", "lots")
    with pytest.raises(InvalidError) as refused:
        load_settings()
    message = refused.value.message
    named = ("METERLINE_HASH_KEY" in message, "METERLINE_MAX_BODY_BYTES" in message)
    assert (True, True, False) == (*named, "shortsecret" in message)


def test_metadata_keys_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERLINE_METADATA_KEYS", "orderId, storeId,")
    assert {"orderId", "storeId"} == load_settings().metadata_keys


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERLINE_HASH_KEY", "a very secret hash key")
    assert "very secret" not in repr(load_settings())


SID = f"AC{32 * 'a'}"
HS256 = {
    "JWT_ALGORITHM": "HS256",
    "JWT_SECRET": "s" * 32,
    "JWT_ISSUER": "https://host.example",
    "JWT_AUDIENCE": "meterline",
}
RS256 = {
    **{name: HS256[name] for name in ("JWT_ISSUER", "JWT_AUDIENCE")},
    "JWT_ALGORITHM": "RS256",
    "JWT_JWKS": "https://host.example/jwks.json",
}
GRAFANA = {
    "INFLUX_URL": "http://127.0.0.1:8086",
    "GRAFANA_URL": "http://127.0.0.1:3000/grafana",
    "GRAFANA_PASSWORD": "p",
    "GRAFANA_KEYS": "/etc/meterline/grafana-keys",
    "GRAFANA_GATEWAY_URL": "http://127.0.0.1:8000/grafana/influx",
}


def faulty(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> list[str]:
    """Return the names of the settings that are told to be wrong."""
    for name, value in environment.items():
        monkeypatch.setenv(f"METERLINE_{name}", value)
    try:
        load_settings()
    except InvalidError as error:
        return re.findall(r"^  METERLINE_(\w+):", error.message, re.MULTILINE)
    return []


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (HS256, []),
        (RS256, []),
        ({**RS256, "JWT_ALGORITHM": "ES256", "JWT_JWKS": "http://127.0.0.1:8080/keys"}, []),
        ({**RS256, "JWT_JWKS": "http://[::1]/keys"}, []),
        ({**RS256, "JWT_JWKS": "http://localhost/keys"}, []),
        ({**RS256, "JWT_JWKS": "/etc/host/keys.json"}, []),
        ({"JWT_ALGORITHM": "HS256"}, ["JWT_SECRET", "JWT_ISSUER", "JWT_AUDIENCE"]),
        ({"JWT_ALGORITHM": "ES256"}, ["JWT_JWKS", "JWT_ISSUER", "JWT_AUDIENCE"]),
        ({**HS256, "JWT_JWKS": "/etc/host/keys.json"}, ["JWT_JWKS"]),
        ({**RS256, "JWT_SECRET": "s" * 32}, ["JWT_SECRET"]),
        ({**HS256, "JWT_SECRET": "s" * 31}, ["JWT_SECRET"]),
        ({**HS256, "JWT_ISSUER": ""}, ["JWT_ISSUER"]),
        ({**HS256, "JWT_AUDIENCE": ""}, ["JWT_AUDIENCE"]),
        ({**HS256, "JWT_ALGORITHM": "none"}, ["JWT_ALGORITHM"]),
        ({**HS256, "JWT_ALGORITHM": "HS512"}, ["JWT_ALGORITHM"]),
        ({"JWT_SECRET": "s" * 32}, ["JWT_SECRET"]),
        ({"JWT_JWKS": "/etc/host/keys.json", "JWT_ISSUER": "x"}, ["JWT_JWKS", "JWT_ISSUER"]),
        ({**RS256, "JWT_JWKS": "http://host.example/keys"}, ["JWT_JWKS"]),
        ({**RS256, "JWT_JWKS": "http://127.0.0.1.host.example/keys"}, ["JWT_JWKS"]),
        ({**RS256, "JWT_JWKS": "file:///etc/passwd"}, ["JWT_JWKS"]),
        ({**RS256, "JWT_JWKS": "https://"}, ["JWT_JWKS"]),
        ({**RS256, "JWT_JWKS": "https://[broken"}, ["JWT_JWKS"]),
        ({"JWT_ROLE_CLAIM": ""}, ["JWT_ROLE_CLAIM"]),
        ({"JWT_ROLES": "owner"}, ["JWT_ROLES"]),
        ({"JWT_ROLES": "owner=king"}, ["JWT_ROLES"]),
        ({"JWT_ROLES": "a=ops,a=root_admin"}, ["JWT_ROLES"]),
        ({"JWT_ROLES": ","}, ["JWT_ROLES"]),
        ({"SECURE_COOKIES": "maybe", "MAX_BODY_BYTES": "1"}, ["MAX_BODY_BYTES", "SECURE_COOKIES"]),
        ({"TRUSTED_PROXIES": "-1"}, ["TRUSTED_PROXIES"]),
        ({"RETENTION_DAYS": "4"}, []),
        ({"RETENTION_DAYS": "3"}, ["RETENTION_DAYS"]),
        ({"PUBLIC_URL": "https://meter.example/", "TWILIO_AUTH_TOKEN": "t"}, []),
        ({"PUBLIC_URL": "https://meter.example/sub", "TWILIO_SHARED_KEY": f"{SID}=b,c=="}, []),
        ({"PUBLIC_URL": "https://meter.example", "TWILIO_AUTH_TOKEN": f"{SID}=b,c"}, []),
        ({"PUBLIC_URL": "https://a.example", "TWILIO_SHARED_KEY": "k=b"}, ["TWILIO_SHARED_KEY"]),
        ({"PUBLIC_URL": "https://a.example", "TWILIO_AUTH_TOKEN": "AC1=b"}, ["TWILIO_AUTH_TOKEN"]),
        ({"PUBLIC_URL": "", "TWILIO_AUTH_TOKEN": "", "FEATURE_RULES": ""}, []),
        ({"PUBLIC_URL": "meter.example"}, ["PUBLIC_URL"]),
        ({"PUBLIC_URL": "meter.example", "TWILIO_AUTH_TOKEN": "t"}, ["PUBLIC_URL"]),
        ({"PUBLIC_URL": "https://meter.example?a=b"}, ["PUBLIC_URL"]),
        ({"TWILIO_AUTH_TOKEN": "t"}, ["TWILIO_AUTH_TOKEN"]),
        ({"TWILIO_SHARED_KEY": "t"}, ["TWILIO_SHARED_KEY"]),
        ({"SENDGRID_PUBLIC_KEY": "acme-mail=MFkw=="}, []),
        ({"SENDGRID_PUBLIC_KEY": ","}, ["SENDGRID_PUBLIC_KEY"]),
        ({"SENDGRID_PUBLIC_KEY": "=MFkw"}, ["SENDGRID_PUBLIC_KEY"]),
        ({"SENDGRID_PUBLIC_KEY": "MF kw"}, ["SENDGRID_PUBLIC_KEY"]),
        ({"FEATURE_RULES": "number:4155550100=ivr"}, ["FEATURE_RULES"]),
        (GRAFANA, []),
        ({**GRAFANA, "GRAFANA_URL": ""}, []),
        (
            {**GRAFANA, "GRAFANA_PASSWORD": "", "GRAFANA_KEYS": "", "GRAFANA_GATEWAY_URL": ""},
            ["GRAFANA_PASSWORD", "GRAFANA_KEYS", "GRAFANA_GATEWAY_URL"],
        ),
        ({**GRAFANA, "INFLUX_URL": ""}, ["GRAFANA_URL"]),
        ({**GRAFANA, "GRAFANA_URL": "http://u:p@grafana:3000"}, ["GRAFANA_URL"]),
        ({**GRAFANA, "GRAFANA_GATEWAY_URL": "meter.example"}, ["GRAFANA_GATEWAY_URL"]),
        ({**GRAFANA, "GRAFANA_USER": "a:b"}, ["GRAFANA_USER"]),
    ],
)
def test_settings_of_the_edge_that_do_not_fit_together_are_all_named(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: list[str]
) -> None:
    assert expected == faulty(monkeypatch, environment)


def test_roles_of_the_host_are_mapped_to_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERLINE_JWT_ROLES", "owner=tenant_admin, app=x=ops,")
    expected = {"owner": Role.TENANT_ADMIN, "app=x": Role.OPS}
    assert expected == load_settings().jwt_roles


def test_without_a_mapping_our_own_roles_map_to_themselves() -> None:
    assert {str(role): role for role in Role} == load_settings().jwt_roles


def test_the_secret_of_the_host_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**HS256, "JWT_SECRET": "a very secret host secret, 32 bytes"}.items():
        monkeypatch.setenv(f"METERLINE_{name}", value)
    assert "very secret" not in repr(load_settings())


def test_a_key_may_have_an_owner_and_padding() -> None:
    expected = [(None, "token"), ("AC1", "b=c"), (None, "MFkw=="), ("acme-mail", "MFkw==")]
    assert expected == parse_owned("token, AC1=b=c,MFkw==,acme-mail=MFkw==")


def test_features_are_told_by_number_service_template_and_category(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules = "number:+14155550100=ivr, service:MG1=broadcast,template:d-1=a,category:x:y=z=b,"
    monkeypatch.setenv("METERLINE_FEATURE_RULES", rules)
    expected = {
        "number:+14155550100": "ivr",
        "service:MG1": "broadcast",
        "template:d-1": "a",
        "category:x:y=z": "b",
    }
    assert expected == load_settings().feature_rules


def test_all_faults_of_feature_rules_are_told_by_their_place_and_no_number_is_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules = "number:4155550188=ivr,colour:red=a,service:MG1=No,template:=a,service:MG2,a,"
    monkeypatch.setenv("METERLINE_FEATURE_RULES", f"{rules}category:c=a,category:c=b")
    with pytest.raises(InvalidError) as refused:
        load_settings()
    message = refused.value.message
    told = [int(place) for place in re.findall(r"rule (\d)", message)]
    assert ([1, 2, 3, 4, 5, 6, 8], False) == (told, "4155550188" in message)


@pytest.mark.parametrize("name", ["TWILIO_AUTH_TOKEN", "TWILIO_SHARED_KEY"])
def test_the_secrets_of_providers_are_not_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("METERLINE_PUBLIC_URL", "https://meter.example")
    monkeypatch.setenv(f"METERLINE_{name}", "a-very-secret-token")
    assert "very-secret" not in repr(load_settings())


@pytest.mark.parametrize("text", ["s3cret-of-a-test\r", "s3cret-of-a-test\n", " s3cret-of-a-test "])
def test_blanks_around_a_token_are_none_of_it(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    # A file of settings that was written on Windows ends its lines with CR and LF.
    monkeypatch.setenv("METERLINE_INFLUX_TOKEN", text)
    token = load_settings().influx_token
    assert token is not None
    assert "s3cret-of-a-test" == token.get_secret_value()


def test_a_token_of_blanks_alone_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERLINE_INFLUX_TOKEN", "\r\n")
    assert load_settings().influx_token is None


@pytest.mark.parametrize(
    "text", ["s3cret\nof-a-test", "s3cret\u2019s", "s3cret\u00fc", "s3cret\x7f"]
)
def test_a_token_that_no_header_can_hold_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("METERLINE_INFLUX_TOKEN", text)
    with pytest.raises(InvalidError, match="METERLINE_INFLUX_TOKEN: has characters") as caught:
        load_settings()
    assert "s3cret" not in caught.value.message


def test_no_group_of_settings_hides_a_validator_of_another() -> None:
    groups: list[type[BaseModel]] = [
        base
        for base in Settings.__bases__
        if issubclass(base, BaseModel) and base is not BaseSettings
    ]
    names = [name for group in groups for name in group.__pydantic_decorators__.field_validators]
    assert sorted(set(names)) == sorted(names)


def test_a_setting_can_be_in_a_file_of_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meterline_hash_key").write_text("from a file of secrets\n")
    monkeypatch.setenv("METERLINE_SECRETS_DIR", str(tmp_path))
    assert b"from a file of secrets" == load_settings().hash_key_bytes


def test_the_environment_comes_before_a_file_of_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meterline_hash_key").write_text("from a file of secrets")
    monkeypatch.setenv("METERLINE_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("METERLINE_HASH_KEY", "from the environment")
    assert b"from the environment" == load_settings().hash_key_bytes


def test_a_value_from_a_file_is_checked_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meterline_hash_key").write_text("too short")
    monkeypatch.setenv("METERLINE_SECRETS_DIR", str(tmp_path))
    with pytest.raises(InvalidError) as raised:
        load_settings()
    expected = "settings are wrong:\n  METERLINE_HASH_KEY: needs at least 16 characters"
    assert expected == raised.value.message


def test_a_folder_of_secrets_that_is_not_there_is_a_fault_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METERLINE_SECRETS_DIR", str(tmp_path / "missing"))
    monkeypatch.setenv("METERLINE_DATABASE_POOL_SIZE", "0")
    with pytest.raises(InvalidError) as raised:
        load_settings()
    assert ["DATABASE_POOL_SIZE", "SECRETS_DIR"] == sorted(
        re.findall(r"METERLINE_(\w+):", raised.value.message)
    )


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"SENDGRID_API_KEY": "SG.key"}, "SENDGRID_API_KEY: needs METERLINE_MAIL_FROM"),
        (
            {"MAIL_FROM": "Pat <pat@host.example>"},
            "MAIL_FROM: it holds something that is not an e-mail address",
        ),
        (
            {"NOTICE_WEBHOOK_URL": "https://host.example/hooks"},
            "NOTICE_WEBHOOK_SECRET: is needed with METERLINE_NOTICE_WEBHOOK_URL",
        ),
        ({"NOTICE_WEBHOOK_SECRET": "short"}, "NOTICE_WEBHOOK_SECRET: needs at least 16"),
        ({"NOTICE_WEBHOOK_SECRET": " , "}, "NOTICE_WEBHOOK_SECRET: names none"),
        ({"NOTICE_WEBHOOK_URL": "ftp://host.example"}, "NOTICE_WEBHOOK_URL: must be an address"),
        ({"NOTICE_WEBHOOK_URL": "https://h.example/#a"}, "NOTICE_WEBHOOK_URL: has characters"),
        ({"NOTICE_WEBHOOK_URL": "https://u:p@h.example/"}, "NOTICE_WEBHOOK_URL: must be an"),
    ],
)
def test_outlets_of_notices_that_cannot_work_are_told(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], fault: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"METERLINE_{name}", value)
    with pytest.raises(InvalidError) as caught:
        load_settings()
    assert f"METERLINE_{fault}" in caught.value.message


def test_the_address_of_a_receiver_may_have_a_path_and_a_query(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = "https://host.example/hooks/?from=meterline"
    monkeypatch.setenv("METERLINE_NOTICE_WEBHOOK_URL", address)
    monkeypatch.setenv("METERLINE_NOTICE_WEBHOOK_SECRET", f"{'n' * 16}, {'o' * 16}")
    settings = load_settings()
    assert (address, ("n" * 16, "o" * 16)) == (
        settings.notice_webhook_url,
        settings.webhook_secrets,
    )
