import unicodedata

import pytest
from argon2 import PasswordHasher, extract_parameters

from ledger.accounts import passwords
from ledger.accounts.passwords import hash_password, needs_rehash, verify_password
from ledger.errors import InvalidError

GOOD = "correct horse"


def test_a_password_is_kept_as_a_salted_argon2id_hash() -> None:
    one, other = hash_password(GOOD), hash_password(GOOD)
    assert (True, True) == (one.startswith("$argon2id$v=19$"), one != other)


def test_a_right_password_is_right() -> None:
    assert verify_password(hash_password(GOOD), GOOD)


@pytest.mark.parametrize("text", ["", "correct hors", "correct horse ", "Correct horse", "\udc80"])
def test_another_text_is_wrong(text: str) -> None:
    assert not verify_password(hash_password(GOOD), text)


def test_a_letter_is_the_same_however_the_keyboard_sends_it() -> None:
    composed = "caf\u00e9 au lait !"
    decomposed = unicodedata.normalize("NFD", composed)
    expected = (False, True)
    found = (composed == decomposed, verify_password(hash_password(composed), decomposed))
    assert expected == found


@pytest.mark.parametrize("length", [12, 1024])
def test_a_password_of_an_allowed_length_is_taken(length: int) -> None:
    assert verify_password(hash_password("x" * length), "x" * length)


@pytest.mark.parametrize("length", [0, 11, 1025])
def test_a_password_that_is_too_short_or_too_long_is_refused(length: int) -> None:
    with pytest.raises(InvalidError) as refused:
        hash_password("x" * length)
    assert "weak_password" == refused.value.code


def test_a_refused_password_is_not_repeated() -> None:
    with pytest.raises(InvalidError) as refused:
        hash_password("hunter2")
    assert "hunter2" not in f"{refused.value} {refused.value.key} {refused.value.value}"


def test_a_long_text_is_wrong_although_its_beginning_is_right() -> None:
    assert not verify_password(hash_password("x" * 1024), "x" * 1025)


@pytest.mark.parametrize("text", ["", GOOD, "x" * 2000])
def test_nobody_has_no_password(text: str) -> None:
    assert not verify_password(None, text)


def test_nobodys_hash_costs_what_a_new_hash_costs() -> None:
    new = extract_parameters(hash_password(GOOD))
    assert new == extract_parameters(passwords._NOBODYS_HASH)  # noqa: SLF001 - it is stored nowhere


def test_the_hash_of_nobody_is_really_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[object] = []
    verify = PasswordHasher.verify

    def watch(self: PasswordHasher, stored: str, text: bytes) -> bool:
        verified.append(extract_parameters(stored))
        return verify(self, stored, text)

    monkeypatch.setattr(PasswordHasher, "verify", watch)
    verify_password(None, GOOD)
    verify_password(hash_password(GOOD), "another password")
    assert (2, True) == (len(verified), verified[0] == verified[1])


def test_a_damaged_hash_opens_nothing() -> None:
    assert not verify_password("$argon2id$damaged", GOOD)


def test_a_new_hash_is_by_the_parameters_of_today() -> None:
    assert not needs_rehash(hash_password(GOOD))


def test_a_hash_by_smaller_parameters_is_to_be_made_anew() -> None:
    small = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
    assert needs_rehash(small.hash(GOOD))
