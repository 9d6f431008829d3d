"""Price files: what is read of one, and every fault with its line."""

from datetime import date
from pathlib import Path

import pytest

from costing.pricing.card import Amount
from costing.pricing.entries import AliasEntry, MarkupEntry, RateEntry, Scope
from costing.pricing.files import load_price_file, parse_price_file
from ledger.errors import InvalidError
from ledger.tenant import TenantId

SOUND = """# prices of the contract
[[rates]]
unit = "sms_segment"
amount = "0.0083"
currency = "USD"
starts_on = 2026-12-01
direction = "outbound"
tenant = "acme"

[[rates]]
unit = "ai_input_token"
amount = "2.5"
per = 1_000_000
currency = "USD"
starts_on = 2026-12-01
model = "gpt-4o"
price_class = "flex"

[[rates]]
unit = "mms_message"
withdrawn = true
starts_on = 2026-12-01

[[markups]]
percent = "15"
plan = "Pro"
starts_on = 2026-12-01

[[aliases]]
model = "our-deployment"
prices_as = "gpt-4o"
starts_on = 2026-12-01
"""
START = date(2026, 12, 1)


def faults(text: str) -> list[str]:
    with pytest.raises(InvalidError) as refused:
        parse_price_file(text, name="p.toml")
    assert "invalid_price_file" == refused.value.code
    return refused.value.message.splitlines()


def test_every_kind_of_entry_is_read_with_its_line() -> None:
    lines = parse_price_file(SOUND, name="p.toml")
    found = [line.entry for line in lines]
    assert [2, 10, 19, 24, 29] == [line.number for line in lines]
    assert found == [
        RateEntry(
            starts_on=START,
            unit="sms_segment",
            amount=Amount("0.0083"),
            scope=Scope(tenant_id=TenantId("acme")),
            direction="outbound",
        ),
        RateEntry(
            starts_on=START,
            unit="ai_input_token",
            amount=Amount("2.5", 1_000_000),
            model="gpt-4o",
            price_class="flex",
        ),
        RateEntry(starts_on=START, unit="mms_message", amount=None),
        MarkupEntry(starts_on=START, percent="15", scope=Scope(plan="Pro")),
        AliasEntry(starts_on=START, model="our-deployment", prices_as="gpt-4o"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('amount = "0.0083"', "amount = 0.0083", "p.toml:4: amount must be a decimal string"),
        ('amount = "0.0083"', 'amount = "-1"', "p.toml:4: amount must be a plain decimal"),
        ('amount = "0.0083"', 'amount = "1e-3"', "p.toml:4: amount must be a plain decimal"),
        ('amount = "0.0083"\n', "", "p.toml:2: amount must be a decimal string"),
        ('unit = "sms_segment"', 'unit = "fax_page"', "p.toml:3: unit: the units are sms_seg"),
        ('unit = "sms_segment"\n', "", "p.toml:2: unit: the units are sms_segment"),
        ('"USD"\nstarts_on = 2026-12-01\ndir', '"EUR"\nstarts_on = 2026-12-01\ndir',
         'p.toml:5: currency: give currency = "USD"'),
        ('"USD"\nstarts_on = 2026-12-01\ndir', '"USD"\ndir',
         "p.toml:2: starts_on: say from which date on"),
        ("01\ndir", "01T00:00:00\ndir", "p.toml:6: starts_on: a date without quotes"),
        ("2026-12-01\ndir", '"2026-12-01"\ndir', "p.toml:6: starts_on: a date without quotes"),
        ("2026-12-01\ndir", "1066-10-14\ndir", "p.toml:6: starts_on: a date without quotes"),
        ('direction = "outbound"', 'direction = "up"', "p.toml:7: direction: one of inbound, out"),
        ('tenant = "acme"', 'tenant = "a b"', "p.toml:8: tenant: a tenant id has 1 to 64"),
        ('tenant = "acme"', 'tenant = "acme"\nplan = "Pro"', "p.toml:9: plan: tenant or plan"),
        ('tenant = "acme"', 'model = "m"', "p.toml:8: model: sms has no models"),
        ('tenant = "acme"', 'amuont = "1"', "p.toml:8: amuont: no such key; there are amount"),
        ('tenant = "acme"', "withdrawn = true", "p.toml:4: amount: what is withdrawn has no am"),
        ('tenant = "acme"', 'withdrawn = "yes"', "p.toml:8: withdrawn: true or false"),
        ('model = "gpt-4o"\nprice', "price", "p.toml:10: model needs 1 to 128 printable"),
        ("per = 1_000_000", "per = 0", "p.toml:13: per: a whole number from 1 to"),
        ("per = 1_000_000", "per = 1.5", "p.toml:13: per: a whole number from 1 to"),
        ("per = 1_000_000", "per = true", "p.toml:13: per: a whole number from 1 to"),
        ('price_class = "flex"', 'price_class = "Flex"', "p.toml:17: price_class has 1 to 64"),
        ('price_class = "flex"', 'price_class = "default"', "p.toml:17: price_class: no u"),
        ('price_class = "flex"', 'price_class = "standard.long"',
         "p.toml:17: price_class: no usage is of this class; write long (it is standard.long)"),
        ('price_class = "flex"', 'price_class = "fast"',
         "p.toml:17: price_class: no usage is of this class; write priority"),
        ('price_class = "flex"', 'price_class = "failed"', "p.toml:17: price_class: no usage is o"),
        ('price_class = "flex"', "price_class = 5", "p.toml:17: price_class has 1 to 64"),
        ('model = "gpt-4o"\nprice', 'model = " gpt-4o"\nprice', "p.toml:16: model needs 1 to 128"),
        ('unit = "mms_message"', 'unit = "mms_failed_message"\nprice_class = "failed"',
         "p.toml:21: price_class: mms_failed_message is of the class failed as it is"),
        ('amount = "0.0083"', "amount = nan", "p.toml:4: amount must be a decimal string"),
        ('amount = "0.0083"', 'amount = "0,0083"', "p.toml:4: amount must be a plain decimal"),
        ('amount = "0.0083"', '"amount" = 1', "p.toml:4: amount must be a decimal string"),
        ('[[rates]]\nunit = "sms', "[[ 'rates' ]]\nunit = \"fax", "p.toml:3: unit: the units are"),
        ("# prices", "#\u2028prices\x85of\nx = 1\n#", "p.toml:2: x: no such table; there are"),
        ('price_class = "flex"', 'direction = "outbound"', "p.toml:17: direction: AI usage is"),
        ('percent = "15"', "percent = 15", "p.toml:25: percent: a decimal in quotes"),
        ('percent = "15"', 'percent = "-101"', "p.toml:25: percent: -100 or more"),
        ('plan = "Pro"\n', "", "p.toml:24: tenant: say whose: tenant or plan"),
        ('prices_as = "gpt-4o"', 'prices_as = "our-deployment"', "p.toml:31: prices_as: an alias"),
        ("[[aliases]]", "[[alias]]", "p.toml:29: alias: no such table; there are [[ra"),
        ("[[markups]]", "[markups]", "p.toml:24: markups: no such table"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line(old: str, new: str, fault: str) -> None:
    assert old in SOUND
    (found,) = faults(SOUND.replace(old, new, 1))
    assert found.startswith(fault)


def test_all_faults_are_told_together() -> None:
    broken = SOUND.replace('"0.0083"', "0.0083").replace('percent = "15"', "percent = 15")
    assert ["p.toml:4", "p.toml:25"] == [":".join(f.split(":")[:2]) for f in faults(broken)]


def test_two_prices_of_one_place_and_start_overlap() -> None:
    again = SOUND + SOUND.split("\n\n", maxsplit=1)[0].replace("0.0083", "0.0084")
    assert faults(again) == [
        "p.toml:34: it overlaps the entry of line 2: the same place and start with another price"
    ]


def test_the_same_entry_twice_is_no_fault() -> None:
    assert len(parse_price_file(SOUND + SOUND, name="p.toml")) == 10


@pytest.mark.parametrize("text", ["", "# nothing\n", "rates = []\n"])
def test_a_file_with_nothing_in_it_is_refused(text: str) -> None:
    assert faults(text) == [
        "p.toml: nothing in it; there are [[rates]], [[markups]] and [[aliases]]"
    ]


def test_entries_within_a_line_are_told_by_the_line_that_they_begin_on() -> None:
    (fault,) = faults('# two\n\nrates = [\n  {unit = "fax"},\n]\n')
    assert fault.startswith("p.toml:3: unit: the units are")


def test_what_looks_like_a_header_within_a_text_moves_no_line_beyond_its_table() -> None:
    (fault,) = faults('\n[[rates]]\nunit = """\n[[rates]]\n"""\n')
    assert fault.startswith("p.toml:2: unit: the units are")


def test_what_is_no_table_is_refused() -> None:
    assert faults("\nrates = [1]\n") == ["p.toml:2: rates: write it as [[rates]]"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"[[rates", ":1: no TOML: "),
        (b"[[rates]]\r\nunit = \r\n", ":2: no TOML: Invalid value"),
        (b"[[rates]]\nunit = [1,\n", ":3: no TOML: "),
        (b'[[rates]]\nunit = "a"\nunit = "b"\n', ":3: no TOML: Cannot overwrite a value"),
        (b"a = " + 2000 * b"[", ":1: no TOML: "),
        (b"\xff\xfe", ":1: it is not UTF-8"),
        (b"# caf\xc3\xa9\n# caf\xe9\n", ":2: it is not UTF-8"),
        (b"\xef\xbb\xbf[[rates]]\n", ":1: no TOML: Invalid statement"),
    ],
)
def test_what_is_no_toml_is_refused_with_file_and_line(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(InvalidError) as refused:
        load_price_file(path)
    assert refused.value.message.startswith(f"{path}{fault}")


def test_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(SOUND.replace("\n", "\r\n").encode())
    assert parse_price_file(SOUND, name="p.toml") == load_price_file(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="No such file"):
        load_price_file(tmp_path / "mine.toml")
