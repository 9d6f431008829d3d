from datetime import timedelta

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from ledger.accounts.roles import Role
from ledger.accounts.users import (
    User,
    add_user,
    authenticate,
    disable_user,
    find_user,
    list_users,
    renew_hash,
)
from ledger.errors import ConflictError, InvalidError, MissingError
from ledger.models import users
from ledger.session import OperatorSession, operator_session
from ledger.tenant import TenantId
from tests.builders import NOW

ACME = TenantId("acme")
PASSWORD = "correct horse"
ADMIN = User(
    login="admin", role=Role.TENANT_ADMIN, tenant_id=ACME, created_at=NOW, disabled_at=None
)


def add(
    engine: sa.Engine,
    login: str = "admin",
    role: Role = Role.TENANT_ADMIN,
    tenant_id: TenantId | None = ACME,
    password: str = PASSWORD,
) -> User:
    with operator_session(engine, write=True) as session:
        return add_user(
            session, login=login, role=role, tenant_id=tenant_id, password=password, now=NOW
        )


def disable(engine: sa.Engine, login: str = "admin", *, hours: int = 0) -> None:
    with operator_session(engine, write=True) as session:
        disable_user(session, login, now=NOW + timedelta(hours=hours))


def sign_in(engine: sa.Engine, login: str = "admin", password: str = PASSWORD) -> User | None:
    with operator_session(engine) as session:
        return authenticate(session, login, password)


def stored_hash(session: OperatorSession) -> str:
    return str(session.connection.execute(sa.select(users.c.password_hash)).scalar_one())


def test_an_added_user_is_found_as_added(engine: sa.Engine) -> None:
    added = add(engine)
    with operator_session(engine) as session:
        assert [ADMIN, ADMIN] == [added, find_user(session, "admin")]


def test_the_password_is_not_in_the_ledger(engine: sa.Engine) -> None:
    add(engine)
    with operator_session(engine) as session:
        assert PASSWORD not in repr(session.connection.execute(sa.select(users)).all())


def test_the_right_password_signs_in(engine: sa.Engine) -> None:
    add(engine)
    assert ADMIN == sign_in(engine)


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("admin", "Correct horse"),
        ("admin", ""),
        ("Admin", PASSWORD),
        ("admin ", PASSWORD),
        ("nobody", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        ("\ud800", PASSWORD),
        ("", ""),
    ],
)
def test_anything_else_signs_nobody_in(engine: sa.Engine, login: str, password: str) -> None:
    add(engine)
    assert None is sign_in(engine, login, password)


def test_the_password_of_another_user_signs_nobody_in(engine: sa.Engine) -> None:
    add(engine)
    add(engine, "other", password="another password")
    assert None is sign_in(engine, "admin", "another password")


def test_a_disabled_user_does_not_sign_in(engine: sa.Engine) -> None:
    add(engine)
    disable(engine)
    assert None is sign_in(engine)


@pytest.mark.parametrize("login", ["admin", "nobody", "NO LOGIN"])
def test_a_password_is_verified_whether_the_login_is_there_or_not(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    add(engine)
    disable(engine)
    verified: list[str] = []
    verify = PasswordHasher.verify

    def watch(self: PasswordHasher, stored: str, text: bytes) -> bool:
        verified.append(stored)
        return verify(self, stored, text)

    monkeypatch.setattr(PasswordHasher, "verify", watch)
    sign_in(engine, login)
    assert 1 == len(verified)


def test_disabling_again_keeps_the_first_instant(engine: sa.Engine) -> None:
    add(engine)
    disable(engine)
    disable(engine, hours=1)
    with operator_session(engine) as session:
        assert [NOW] == [user.disabled_at for user in list_users(session)]


def test_disabling_one_user_leaves_the_others(engine: sa.Engine) -> None:
    add(engine)
    add(engine, "other")
    disable(engine)
    assert "other" == getattr(sign_in(engine, "other"), "login", None)


def test_nobody_cannot_be_disabled(engine: sa.Engine) -> None:
    with pytest.raises(MissingError) as refused:
        disable(engine)
    assert "unknown_user" == refused.value.code


def test_users_are_listed_by_login(engine: sa.Engine) -> None:
    add(engine, "zoe", Role.OPS, None)
    add(engine, "abe")
    with operator_session(engine) as session:
        assert ["abe", "zoe"] == [user.login for user in list_users(session)]


@pytest.mark.parametrize("is_disabled", [False, True])
def test_a_login_is_given_once_for_ever(engine: sa.Engine, *, is_disabled: bool) -> None:
    add(engine)
    if is_disabled:
        disable(engine)
    with pytest.raises(ConflictError) as refused:
        add(engine, role=Role.ROOT_ADMIN, tenant_id=None)
    assert "user_exists" == refused.value.code


@pytest.mark.parametrize(
    "login", ["", "a" * 65, "Admin", "a b", "jo@example.org", "a\n", "é", "_a", "-a", ".a"]
)
def test_what_is_no_login_is_refused_and_not_repeated(engine: sa.Engine, login: str) -> None:
    with pytest.raises(InvalidError) as refused:
        add(engine, login)
    assert ("invalid_login", None) == (refused.value.code, refused.value.value)


@pytest.mark.parametrize(
    ("role", "tenant_id", "password", "code"),
    [
        (Role.TENANT_MEMBER, None, PASSWORD, "role_without_tenant"),
        (Role.ROOT_ADMIN, ACME, PASSWORD, "role_with_tenant"),
        (Role.ROOT_ADMIN, None, "short", "weak_password"),
    ],
)
def test_a_user_that_means_nothing_is_refused(
    engine: sa.Engine, role: Role, tenant_id: TenantId | None, password: str, code: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        add(engine, "admin", role, tenant_id, password)
    assert code == refused.value.code


def test_a_user_of_an_unknown_tenant_is_refused(engine: sa.Engine) -> None:
    with pytest.raises(MissingError) as refused:
        add(engine, tenant_id=TenantId("nobody"))
    assert "unknown_tenant" == refused.value.code


def test_a_hash_by_older_parameters_is_renewed_and_still_opens(engine: sa.Engine) -> None:
    add(engine)
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    with operator_session(engine, write=True) as session:
        session.connection.execute(sa.update(users).values(password_hash=old))
        renew_hash(session, "admin", PASSWORD)
        renewed = "m=65536,t=3,p=4" in stored_hash(session)
    assert (True, ADMIN) == (renewed, sign_in(engine))


def test_a_hash_by_the_parameters_of_today_is_left(engine: sa.Engine) -> None:
    add(engine)
    with operator_session(engine, write=True) as session:
        before = stored_hash(session)
        renew_hash(session, "admin", PASSWORD)
        assert before == stored_hash(session)
