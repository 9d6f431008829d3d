import pytest

from collector.attribution.claims import ClaimKey, make_key, make_keys, mark_key, parse_claim
from collector.facts.claim import Claim, ClaimKind
from ledger.errors import InvalidError

KEY = b"a key that only tests know"
ACCOUNT = "AC" + 32 * "a"
SERVICE = "MG" + 32 * "0"
NUMBER = "+13125550100"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("account", ACCOUNT),
        ("service", SERVICE),
        ("number", NUMBER),
        ("number", "12345"),
        ("subuser", "acme-mail"),
    ],
)
def test_what_a_provider_names_is_taken_as_it_is(kind: str, value: str) -> None:
    assert Claim(ClaimKind(kind), value) == parse_claim(kind, value)


def test_a_number_may_be_typed_in_groups() -> None:
    assert NUMBER == parse_claim("number", " +1 (312) 555-0100 ").value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("account", SERVICE),
        ("account", "ac" + 32 * "a"),
        ("account", "AC" + 31 * "a"),
        ("account", "AC" + 32 * "A"),
        ("service", "MG"),
        ("number", "3125550100"),
        ("number", "+0312555010"),
        ("number", "+123"),
        ("number", "+1234567890123456"),
        ("number", "12"),
        ("number", "client:pat"),
        ("number", "+1312555010\N{ARABIC-INDIC DIGIT ONE}"),
        ("subuser", ""),
        ("subuser", "two words"),
        ("subuser", 129 * "a"),
        ("subuser", "hmac:" + 32 * "0"),
    ],
)
def test_what_cannot_be_is_refused(kind: str, value: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_claim(kind, value)
    assert ("invalid_mapping_value", "value") == (refused.value.code, refused.value.key)


def test_an_unknown_kind_is_told_with_those_there_are() -> None:
    with pytest.raises(InvalidError, match="account, service, number, subuser") as refused:
        parse_claim("phone", NUMBER)
    assert ("unknown_mapping_kind", "phone") == (refused.value.code, refused.value.value)


def test_a_number_that_is_refused_is_not_repeated() -> None:
    with pytest.raises(InvalidError) as refused:
        parse_claim("number", "3125550100")
    assert None is refused.value.value


def test_of_a_number_a_hash_and_four_digits_are_kept() -> None:
    kept = make_key(parse_claim("number", NUMBER), KEY)
    assert (True, "0100", "…0100", False) == (
        kept.is_hidden,
        kept.digits,
        kept.shown,
        "5550100" in "".join(map(str, kept)),
    )


def test_another_key_makes_another_hash_and_another_mark() -> None:
    claim = parse_claim("number", NUMBER)
    other = b"another key of the tests"
    assert (False, False) == (
        make_key(claim, KEY) == make_key(claim, other),
        mark_key(KEY) == mark_key(other),
    )


def test_a_subuser_that_is_an_address_is_hidden() -> None:
    kept = make_key(parse_claim("subuser", "pat@acme.example"), KEY)
    assert (True, "(hidden)") == (kept.is_hidden, kept.shown)


@pytest.mark.parametrize(("kind", "value"), [("number", NUMBER), ("subuser", "pat@acme.example")])
def test_without_a_key_nothing_personal_is_mapped(kind: str, value: str) -> None:
    with pytest.raises(InvalidError, match="METERLINE_HASH_KEY") as refused:
        make_key(parse_claim(kind, value), None)
    assert "missing_hash_key" == refused.value.code


@pytest.mark.parametrize(
    ("kind", "value"), [("account", ACCOUNT), ("number", "12345"), ("subuser", "acme")]
)
def test_what_is_not_personal_is_kept_as_it_is(kind: str, value: str) -> None:
    assert ClaimKey(ClaimKind(kind), value) == make_key(parse_claim(kind, value), None)


def test_of_a_message_what_claims_nothing_is_passed_over() -> None:
    claims = [
        Claim(ClaimKind.NUMBER, "anonymous"),
        Claim(ClaimKind.SERVICE, ""),
        Claim(ClaimKind.NUMBER, NUMBER),
        Claim(ClaimKind.NUMBER, "+1 312 555 0100"),
        Claim(ClaimKind.ACCOUNT, ACCOUNT),
    ]
    kinds = [key.kind for key in make_keys(claims, KEY)]
    assert ([ClaimKind.NUMBER, ClaimKind.ACCOUNT], [ClaimKind.ACCOUNT]) == (
        kinds,
        [key.kind for key in make_keys(claims, None)],
    )
