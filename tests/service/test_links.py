from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from ledger.accounts.identity import Identity
from ledger.accounts.links import create_link, redeem_link
from ledger.accounts.roles import Role
from ledger.engine import create_ledger_engine
from ledger.errors import InvalidError
from ledger.models import sign_in_links
from ledger.session import operator_session
from ledger.tenant import TenantId
from tests.builders import NOW
from tests.interleaving import at_once

PERSON = Identity(subject="usr_17", role=Role.TENANT_ADMIN, tenant_id=TenantId("acme"))
MINUTE = timedelta(seconds=60)
ROUNDS = 10


def create(engine: sa.Engine, *, after: timedelta = timedelta()) -> str:
    with operator_session(engine, write=True) as session:
        return create_link(
            session,
            subject=PERSON.subject,
            role=PERSON.role,
            tenant_id=PERSON.tenant_id,
            now=NOW + after,
        )


def redeem(engine: sa.Engine, code: str, *, after: timedelta = timedelta()) -> Identity | None:
    with operator_session(engine, write=True) as session:
        return redeem_link(session, code, now=NOW + after)


def count(engine: sa.Engine) -> int:
    with operator_session(engine) as session:
        query = sa.select(sa.func.count()).select_from(sign_in_links)
        return session.connection.execute(query).scalar_one()


def test_a_code_names_the_person_that_it_was_made_for(engine: sa.Engine) -> None:
    assert PERSON == redeem(engine, create(engine))


def test_a_code_works_once(engine: sa.Engine) -> None:
    code = create(engine)
    assert [PERSON, None, None] == [redeem(engine, code) for _ in range(3)]


def test_of_many_who_redeem_a_code_at_once_one_gets_in(engine: sa.Engine, ledger_url: str) -> None:
    engines = [create_ledger_engine(ledger_url) for _ in range(4)]

    def redeemer(own: sa.Engine, code: str) -> Callable[[], Identity | None]:
        return lambda: redeem(own, code)

    winners = []
    for _ in range(ROUNDS):
        code = create(engine)
        found = at_once([redeemer(own, code) for own in engines])
        winners.append([person for person in found if person is not None])
    for own in engines:
        own.dispose()
    assert [[PERSON]] * ROUNDS == winners


def test_redeeming_reads_and_takes_out_in_one_statement(engine: sa.Engine) -> None:
    # On an engine with row locks two transactions that read first would both see the link.
    code = create(engine)
    seen: list[str] = []
    sa.event.listen(
        engine, "before_cursor_execute", lambda _c, _cursor, text, *_rest: seen.append(text)
    )
    redeem(engine, code)
    words = [(text.split()[0], "RETURNING" in text) for text in seen if "sign_in_links" in text]
    assert [("DELETE", True)] == words


@pytest.mark.parametrize(
    ("after", "expected"), [(MINUTE - timedelta(microseconds=1), PERSON), (MINUTE, None)]
)
def test_a_code_works_for_a_minute(
    engine: sa.Engine, after: timedelta, expected: Identity | None
) -> None:
    assert expected == redeem(engine, create(engine), after=after)


@pytest.mark.parametrize("code", ["", "another", "\ud800"])
def test_another_code_names_nobody(engine: sa.Engine, code: str) -> None:
    create(engine)
    assert (None, 1) == (redeem(engine, code), count(engine))


def test_redeeming_one_code_leaves_the_others(engine: sa.Engine) -> None:
    one, other = create(engine), create(engine)
    redeem(engine, one)
    assert PERSON == redeem(engine, other)


def test_the_code_is_not_in_the_ledger(engine: sa.Engine) -> None:
    code = create(engine)
    with operator_session(engine) as session:
        (row,) = session.connection.execute(sa.select(sign_in_links)).all()
    assert (43, 32, False) == (len(code), len(row.code_hash), code in repr(row))


def test_expired_links_are_taken_out_when_another_is_made(engine: sa.Engine) -> None:
    create(engine)
    create(engine, after=timedelta(seconds=30))
    create(engine, after=MINUTE)
    assert 2 == count(engine)


@pytest.mark.parametrize(
    ("subject", "role", "tenant_id"),
    [
        ("jo@example.org", Role.OPS, None),
        ("usr_17", Role.TENANT_ADMIN, None),
        ("usr_17", Role.ROOT_ADMIN, TenantId("acme")),
    ],
)
def test_a_link_for_nobody_that_could_be_is_not_made(
    engine: sa.Engine, subject: str, role: Role, tenant_id: TenantId | None
) -> None:
    with pytest.raises(InvalidError), operator_session(engine, write=True) as session:
        create_link(session, subject=subject, role=role, tenant_id=tenant_id, now=NOW)
    assert 0 == count(engine)
