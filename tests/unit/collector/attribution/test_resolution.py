"""The table of who gets usage: claims in order, histories, and an instant."""

from datetime import UTC, datetime

import pytest

from collector.attribution.claims import ClaimKey
from collector.attribution.resolution import list_periods, make_histories, resolve
from collector.facts.claim import ClaimKind
from ledger.mappings import ProviderMapping
from ledger.tenant import TenantId

ACCOUNT = ClaimKey(ClaimKind.ACCOUNT, "AC1")
SERVICE = ClaimKey(ClaimKind.SERVICE, "MG1")
SUBUSER = ClaimKey(ClaimKind.SUBUSER, "AC1")


def march(day: int) -> datetime:
    return datetime(2026, 3, day, tzinfo=UTC)


def row(number: int, claim: ClaimKey, tenant: str | None, day: int) -> ProviderMapping:
    return ProviderMapping(
        mapping_id=number,
        kind=claim.kind,
        value=claim.value,
        digits=None,
        key_mark=None,
        tenant_id=None if tenant is None else TenantId(tenant),
        valid_from=march(day),
        label=None,
        created_at=march(31),
    )


ROWS = [
    row(1, ACCOUNT, "acme", 5),
    row(2, ACCOUNT, "karachi", 10),
    row(3, ACCOUNT, None, 20),
    row(4, SERVICE, "silent", 8),
    row(5, SERVICE, None, 12),
    row(6, SERVICE, "clever", 15),
    row(7, SERVICE, "dull", 15),
    row(8, ACCOUNT, "early", 3),
]


@pytest.mark.parametrize(
    ("claims", "day", "expected"),
    [
        ([ACCOUNT], 2, None),  # before the first
        ([ACCOUNT], 4, "early"),  # written last, and begun first
        ([ACCOUNT], 5, "acme"),  # from its beginning on
        ([ACCOUNT], 9, "acme"),
        ([ACCOUNT], 10, "karachi"),  # the one that began later
        ([ACCOUNT], 19, "karachi"),
        ([ACCOUNT], 20, None),  # ended
        ([SERVICE], 15, "dull"),  # of two that began together the one written last
        ([SERVICE, ACCOUNT], 7, "acme"),  # the first says nothing yet
        ([SERVICE, ACCOUNT], 8, "silent"),  # the first goes before the second
        ([ACCOUNT, SERVICE], 8, "acme"),  # and the other way round
        ([SERVICE, ACCOUNT], 13, "karachi"),  # the first has ended
        ([SERVICE, ACCOUNT], 25, "dull"),
        ([SUBUSER], 9, None),  # the same text of another kind is another claim
        ([], 9, None),
    ],
)
def test_the_first_claim_that_leads_anywhere_decides(
    claims: list[ClaimKey], day: int, expected: str | None
) -> None:
    assert expected == resolve(claims, make_histories(ROWS), march(day))


def test_the_order_in_which_rows_are_read_does_not_matter() -> None:
    found = [resolve([SERVICE], make_histories(rows), march(16)) for rows in (ROWS, ROWS[::-1])]
    assert ["dull", "dull"] == found


def test_a_period_ends_where_the_next_row_begins() -> None:
    found = [(p.row.mapping_id, p.tenant_id, p.until) for p in list_periods(make_histories(ROWS))]
    assert [
        (8, "early", march(5)),
        (1, "acme", march(10)),
        (2, "karachi", march(20)),
        (4, "silent", march(12)),
        (7, "dull", None),
    ] == found
