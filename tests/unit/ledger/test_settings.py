import pytest

from ledger.errors import InvalidError
from ledger.settings import load_settings


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
