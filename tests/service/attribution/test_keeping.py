"""Mappings in the ledger: what is appended, and what is answered."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from collector.attribution.keeping import NewMapping, add_mapping, end_mapping, list_all
from ledger.engine import is_postgresql
from ledger.errors import ConflictError, InvalidError, MissingError
from ledger.models import provider_mappings
from ledger.session import operator_session, tenant_session
from ledger.tenant import UNATTRIBUTED, TenantId
from ledger.tenants import close_tenant, ensure_unattributed
from tests.builders import NOW
from tests.service.attribution.claims import ACCOUNT, HASH_KEY, NUMBER, map_to

KEY = HASH_KEY.encode()


def periods(engine: sa.Engine) -> list[tuple[str, datetime, datetime | None]]:
    with operator_session(engine) as session:
        return [(p.tenant_id, p.row.valid_from, p.until) for p in list_all(session)]


def end(engine: sa.Engine, mapping_id: int, until: str | None = None) -> datetime | None:
    with operator_session(engine, write=True) as session:
        return end_mapping(session, mapping_id, until=until, now=NOW).until


def count_rows(engine: sa.Engine) -> int:
    with operator_session(engine) as session:
        query = sa.select(sa.func.count()).select_from(provider_mappings)
        return session.connection.execute(query).scalar_one()


def test_a_date_is_where_the_day_of_the_tenant_begins(engine: sa.Engine) -> None:
    map_to(engine, "karachi", valid_from="2026-03-01")
    assert [("karachi", datetime(2026, 2, 28, 19, tzinfo=UTC), None)] == periods(engine)


def test_without_a_time_it_counts_from_now_on(engine: sa.Engine) -> None:
    map_to(engine, "acme", valid_from=None)
    assert [("acme", NOW, None)] == periods(engine)


def test_what_begins_later_ends_what_was_before(engine: sa.Engine) -> None:
    map_to(engine, "acme", valid_from="2026-02-01")
    map_to(engine, "karachi", valid_from="2026-03-01T00:00:00Z")
    march = datetime(2026, 3, 1, tzinfo=UTC)
    assert [
        ("acme", datetime(2026, 2, 1, tzinfo=UTC), march),
        ("karachi", march, None),
    ] == periods(engine)


def test_a_mistake_is_mended_by_mapping_it_anew_from_the_same_instant(engine: sa.Engine) -> None:
    map_to(engine, "acme", valid_from="2026-02-01T00:00:00Z")
    map_to(engine, "karachi", valid_from="2026-02-01T00:00:00Z")
    assert [("karachi", datetime(2026, 2, 1, tzinfo=UTC), None)] == periods(engine)


def test_the_same_again_appends_nothing(engine: sa.Engine) -> None:
    numbers = {map_to(engine, "acme", valid_from=f"2026-02-0{day}") for day in (1, 1, 2)}
    assert ({1}, 1) == (numbers, count_rows(engine))


def test_another_label_is_a_change(engine: sa.Engine) -> None:
    map_to(engine, "acme")
    map_to(engine, "acme", label="Front desk")
    with operator_session(engine) as session:
        assert ["Front desk"] == [p.row.label for p in list_all(session)]


def test_an_ended_mapping_leads_nowhere_and_ending_it_again_changes_nothing(
    engine: sa.Engine,
) -> None:
    number = map_to(engine, "acme")
    ends = [end(engine, number, until) for until in ("2026-02-01", "2026-03-01", None)]
    assert ([datetime(2026, 2, 1, tzinfo=UTC)] * 3, 2) == (ends, count_rows(engine))


@pytest.mark.parametrize("start", ["2026-01-01", "2026-02-15", "2026-03-05", None])
def test_one_that_was_ended_and_added_again_counts_from_its_new_beginning(
    engine: sa.Engine, start: str | None
) -> None:
    end(engine, map_to(engine, "acme"), "2026-03-01")
    number = map_to(engine, "acme", valid_from=start)
    last = periods(engine)[-1]
    expected = NOW if start is None else datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert (True, ("acme", expected, None)) == (number > 1, last)


def test_an_end_is_of_its_mapping_and_of_no_other(engine: sa.Engine) -> None:
    end(engine, map_to(engine, "acme"), "2026-03-01")
    map_to(engine, "karachi", valid_from="2026-02-01T00:00:00Z")
    february = datetime(2026, 2, 1, tzinfo=UTC)
    assert [
        ("acme", datetime(2026, 1, 1, tzinfo=UTC), february),
        ("karachi", february, None),
    ] == periods(engine)


def test_one_that_was_added_again_can_be_ended_again(engine: sa.Engine) -> None:
    end(engine, map_to(engine, "acme"), "2026-03-01")
    number = map_to(engine, "acme")
    ended = end(engine, number, "2026-03-05")
    assert [("acme", datetime(2026, 1, 1, tzinfo=UTC), ended)] == periods(engine)


def test_what_is_mapped_to_another_later_stays_when_it_is_added_again(engine: sa.Engine) -> None:
    end(engine, map_to(engine, "acme"), "2026-02-01")
    april = datetime(2026, 4, 1, tzinfo=UTC)
    map_to(engine, "karachi", valid_from=april.isoformat())
    map_to(engine, "acme")
    assert [
        ("acme", datetime(2026, 1, 1, tzinfo=UTC), april),
        ("karachi", april, None),
    ] == periods(engine)


def test_an_end_may_be_moved_to_an_earlier_instant(engine: sa.Engine) -> None:
    number = map_to(engine, "acme")
    ends = [end(engine, number, until) for until in (None, "2026-02-01")]
    assert [NOW, datetime(2026, 2, 1, tzinfo=UTC)] == ends


def test_one_that_ends_before_it_begins_never_was(engine: sa.Engine) -> None:
    number = map_to(engine, "acme", valid_from="2027-01-01")
    end(engine, number)
    assert [] == periods(engine)


def test_nothing_in_the_table_is_a_phone_number(engine: sa.Engine) -> None:
    map_to(engine, "acme", label="Front desk")
    with operator_session(engine) as session:
        rows = [tuple(row) for row in session.connection.execute(sa.select(provider_mappings))]
    assert False is ("5550100" in str(rows))


@pytest.mark.parametrize(
    ("changes", "code", "key"),
    [
        ({"kind": "phone"}, "unknown_mapping_kind", "kind"),
        ({"value": "3125550100"}, "invalid_mapping_value", "value"),
        ({"tenant": "a b"}, "invalid_tenant", "tenant"),
        ({"tenant": "_unattributed"}, "invalid_tenant", "tenant"),
        ({"valid_from": "yesterday"}, "invalid_valid_from", "valid_from"),
        ({"valid_from": "2026-02-30"}, "invalid_valid_from", "valid_from"),
        ({"valid_from": "2026-03-01T10:00:00"}, "invalid_valid_from", "valid_from"),
        ({"valid_from": "9999-12-31"}, "invalid_valid_from", "valid_from"),
        ({"valid_from": "0001-01-01T00:00:00+14:00"}, "invalid_valid_from", "valid_from"),
        ({"label": " x"}, "invalid_label", "label"),
        ({"label": "call +1 312 555 0100"}, "personal_data", "label"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    engine: sa.Engine, changes: dict[str, str], code: str, key: str
) -> None:
    new = {"kind": "number", "value": NUMBER, "tenant": "acme", **changes}
    with (
        pytest.raises(InvalidError) as refused,
        operator_session(engine, write=True) as session,
    ):
        add_mapping(session, NewMapping(**new), hash_key=KEY, now=NOW)
    assert (code, key) == (refused.value.code, refused.value.key)


def test_an_unknown_tenant_is_told(engine: sa.Engine) -> None:
    with pytest.raises(MissingError, match="no tenant nobody"):
        map_to(engine, "nobody")


def test_nothing_leads_to_a_tenant_that_is_closed_by_then(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        close_tenant(session, TenantId("acme"), now=NOW)
    map_to(engine, "acme", valid_from="2026-03-01")
    with pytest.raises(ConflictError) as refused:
        map_to(engine, "acme", kind="account", value=ACCOUNT, valid_from=None)
    assert "tenant_closed" == refused.value.code


@pytest.mark.parametrize("number", [2, 7, 2**63, 10**30])
def test_a_mapping_that_is_not_there_cannot_be_ended(engine: sa.Engine, number: int) -> None:
    end(engine, map_to(engine, "acme"))  # the row of an end is no mapping
    with pytest.raises(MissingError) as refused:
        end(engine, number)
    assert "unknown_mapping" == refused.value.code


@pytest.mark.ledger("postgresql")
def test_a_tenant_has_no_right_to_see_mappings(engine: sa.Engine) -> None:
    map_to(engine, "acme")
    assert is_postgresql(engine)
    with (
        pytest.raises(sa.exc.ProgrammingError, match="permission denied"),
        tenant_session(engine, TenantId("acme")) as session,
    ):
        session.connection.execute(sa.select(provider_mappings))


def test_the_reserved_tenant_is_made_once(engine: sa.Engine) -> None:
    made = [ensure_unattributed(engine, now=NOW).tenant_id for _ in range(2)]
    assert [UNATTRIBUTED] * 2 == made
