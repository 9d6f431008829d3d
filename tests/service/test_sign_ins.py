from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from ledger.accounts.roles import Role
from ledger.accounts.sign_ins import SignIn, end_sign_in, find_sign_in, start_sign_in
from ledger.accounts.users import add_user, disable_user
from ledger.errors import InvalidError
from ledger.models import sign_ins, users
from ledger.session import operator_session
from ledger.tenant import TenantId
from tests.builders import NOW

ACME = TenantId("acme")
HALF_A_DAY = timedelta(hours=12)
TICK = timedelta(microseconds=1)
EXPECTED = SignIn(
    subject="usr_17", role=Role.TENANT_ADMIN, tenant_id=ACME, expires_at=NOW + HALF_A_DAY
)


def start(engine: sa.Engine, *, login: str | None = None, now: datetime = NOW) -> str:
    with operator_session(engine, write=True) as session:
        _, token = start_sign_in(
            session,
            subject="usr_17",
            role=Role.TENANT_ADMIN,
            tenant_id=ACME,
            login=login,
            now=now,
        )
    return token


def find(engine: sa.Engine, token: str, *, now: datetime = NOW) -> SignIn | None:
    with operator_session(engine) as session:
        return find_sign_in(session, token, now=now)


def count(engine: sa.Engine) -> int:
    with operator_session(engine) as session:
        query = sa.select(sa.func.count()).select_from(sign_ins)
        return session.connection.execute(query).scalar_one()


@pytest.fixture
def users_of_ours(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        for login in ("admin", "other"):
            add_user(
                session,
                login=login,
                role=Role.TENANT_ADMIN,
                tenant_id=ACME,
                password="correct horse",
                now=NOW,
            )


def test_a_token_finds_its_sign_in(engine: sa.Engine) -> None:
    assert EXPECTED == find(engine, start(engine))


def test_what_starting_returns_is_what_is_found(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        started, token = start_sign_in(
            session, subject="boss", role=Role.OPS, tenant_id=None, login=None, now=NOW
        )
        assert started == find_sign_in(session, token, now=NOW)


def test_each_sign_in_has_a_token_of_its_own_of_256_bits(engine: sa.Engine) -> None:
    tokens = {start(engine) for _ in range(3)}
    assert [43, 43, 43] == [len(token) for token in tokens]


def test_the_token_is_not_in_the_ledger(engine: sa.Engine) -> None:
    token = start(engine)
    with operator_session(engine) as session:
        (row,) = session.connection.execute(sa.select(sign_ins)).all()
    assert (32, False) == (len(row.token_hash), token in repr(row))


@pytest.mark.parametrize("token", ["", "another", "\ud800", "x" * 100_000])
def test_another_token_finds_nothing(engine: sa.Engine, token: str) -> None:
    start(engine)
    assert None is find(engine, token)


@pytest.mark.parametrize(("after", "holds"), [(HALF_A_DAY - TICK, True), (HALF_A_DAY, False)])
def test_a_sign_in_holds_until_it_expires(
    engine: sa.Engine, after: timedelta, *, holds: bool
) -> None:
    token = start(engine)
    assert holds == (find(engine, token, now=NOW + after) is not None)


def test_an_ended_sign_in_is_not_found(engine: sa.Engine) -> None:
    token = start(engine)
    with operator_session(engine, write=True) as session:
        end_sign_in(session, token)
    assert None is find(engine, token)


def test_ending_one_sign_in_leaves_the_others(engine: sa.Engine) -> None:
    one, other = start(engine), start(engine)
    with operator_session(engine, write=True) as session:
        end_sign_in(session, one)
    assert EXPECTED == find(engine, other)


def test_ending_what_is_not_there_changes_nothing(engine: sa.Engine) -> None:
    start(engine)
    with operator_session(engine, write=True) as session:
        end_sign_in(session, "another")
    assert 1 == count(engine)


@pytest.mark.usefixtures("users_of_ours")
def test_a_sign_in_of_a_user_is_found(engine: sa.Engine) -> None:
    assert EXPECTED == find(engine, start(engine, login="admin"))


@pytest.mark.usefixtures("users_of_ours")
def test_the_sign_ins_of_a_disabled_user_end_at_once(engine: sa.Engine) -> None:
    token = start(engine, login="admin")
    with operator_session(engine, write=True) as session:
        disable_user(session, "admin", now=NOW)
    assert None is find(engine, token)


@pytest.mark.usefixtures("users_of_ours")
def test_the_sign_ins_of_others_stay_when_a_user_is_disabled(engine: sa.Engine) -> None:
    tokens = [start(engine, login="other"), start(engine)]
    with operator_session(engine, write=True) as session:
        disable_user(session, "admin", now=NOW)
    assert [EXPECTED, EXPECTED] == [find(engine, token) for token in tokens]


@pytest.mark.usefixtures("users_of_ours")
def test_a_sign_in_that_starts_while_its_user_is_disabled_opens_nothing(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        disable_user(session, "admin", now=NOW)
    assert None is find(engine, start(engine, login="admin"))


@pytest.mark.usefixtures("users_of_ours")
def test_a_sign_in_of_a_user_who_is_gone_opens_nothing(engine: sa.Engine) -> None:
    token = start(engine, login="admin")
    with operator_session(engine, write=True) as session:
        session.connection.execute(sa.delete(users))
    assert None is find(engine, token)


def test_expired_sign_ins_are_taken_out_when_another_starts(engine: sa.Engine) -> None:
    start(engine)
    start(engine, now=NOW + timedelta(hours=1))
    start(engine, now=NOW + HALF_A_DAY)
    assert 2 == count(engine)


def test_a_sign_in_without_the_tenant_that_its_role_needs_does_not_start(
    engine: sa.Engine,
) -> None:
    with pytest.raises(InvalidError), operator_session(engine, write=True) as session:
        start_sign_in(
            session, subject="x", role=Role.TENANT_ADMIN, tenant_id=None, login=None, now=NOW
        )
    assert 0 == count(engine)


def test_an_email_address_does_not_get_into_the_ledger_as_a_subject(engine: sa.Engine) -> None:
    with pytest.raises(InvalidError), operator_session(engine, write=True) as session:
        start_sign_in(
            session,
            subject="jo@example.org",
            role=Role.OPS,
            tenant_id=None,
            login=None,
            now=NOW,
        )
    assert 0 == count(engine)
