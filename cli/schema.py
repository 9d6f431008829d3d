"""Moves the schema along its revisions, and compares it with the models."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import resources
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from ledger.engine import is_postgresql
from ledger.errors import ConflictError, InvalidError, MissingError
from ledger.gaps import walls_stand
from ledger.models import ONLY_ON, VERSION_TABLE, metadata
from ledger.session import owner_session
from ledger.walls import lower_walls, raise_walls

SP3_REVISION = "0001"


def head_revision() -> str:
    """Return the newest revision that this version of Meterline knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise AssertionError("there is at least one revision")
    return head


def current_revision(engine: sa.Engine) -> str | None:
    """Return the revision of the ledger, None for an empty database."""
    with owner_session(engine) as session:
        return _context(session.connection).get_current_revision()


def require_current(engine: sa.Engine) -> None:
    """Check that the ledger's schema is the newest.

    Raises:
        MissingError: `schema_outdated`, saying what to run.
        ConflictError: `schema_newer`.
    """
    current, head = current_revision(engine), head_revision()
    if current == head:
        return
    _require_known(current)
    found = "no tables yet" if current is None else f"schema {current}"
    raise MissingError(
        "schema_outdated", f"the ledger has {found} and needs {head}; run `meterline db upgrade`"
    )


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Bring the schema up to a revision; all or nothing. SP-3's own tables are revision 0001.

    Raises:
        ConflictError: `schema_newer`.
    """
    current = current_revision(engine)
    _require_known(current)
    with _migrating(engine, is_current=current == head_revision()) as config:
        if current is None and _is_sp3(config.attributes["connection"]):
            command.stamp(config, SP3_REVISION)
        command.upgrade(config, revision)


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Take the schema back to a revision, or to `base`; all or nothing.

    Raises:
        InvalidError: `unknown_revision`, where the schema never was at that revision.
        ConflictError: `schema_newer`.
    """
    current = current_revision(engine)
    _require_known(current)
    past = ["base", *_revisions()]
    past = past[: past.index(current or "base") + 1]
    if revision not in past:
        raise InvalidError(
            "unknown_revision",
            f"the ledger can be taken back to {', '.join(past)}",
            key="revision",
            value=revision,
        )
    with _migrating(engine, is_current=False) as config:
        command.downgrade(config, revision)


def find_drift(engine: sa.Engine) -> list[str]:
    """Return where the schema differs from the models."""
    with owner_session(engine) as session:
        differences = compare_metadata(_context(session.connection), metadata)
        return [str(difference) for difference in differences]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("migrations")))
    return config


@contextmanager
def _migrating(engine: sa.Engine, *, is_current: bool) -> Iterator[Config]:
    """Give Alembic a transaction; on PostgreSQL the walls between tenants come down and go up.

    Walls stand in the newest schema, which alone is ever used: an older one may be somebody else's
    tables. Where nothing moves they are left alone, since putting them up locks every table.
    """
    config = _config()
    with owner_session(engine, write=True) as session:
        connection = config.attributes["connection"] = session.connection
        if is_postgresql(connection) and not is_current:
            lower_walls(connection)
        yield config
        is_newest = _context(connection).get_current_revision() == head_revision()
        if is_postgresql(connection) and is_newest and not (is_current and walls_stand(connection)):
            raise_walls(connection)


def _require_known(revision: str | None) -> None:
    if revision is not None and revision not in _revisions():
        raise ConflictError(
            "schema_newer",
            f"the ledger has schema {revision}, of a newer Meterline than this one; use that one",
            key="revision",
            value=revision,
        )


def _revisions() -> list[str]:
    """Return all revisions, oldest first."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return [script.revision for script in scripts][::-1]


def _context(connection: sa.Connection) -> MigrationContext:
    opts = {
        "compare_type": True,
        "version_table": VERSION_TABLE,
        "include_object": partial(_is_ours, connection.dialect.name),
    }
    return MigrationContext.configure(connection, opts=opts)


def _is_ours(dialect: str, *seen: Any) -> bool:
    """Whether drift of this matters: the host may keep tables of its own beside ours."""
    item, _name, kind, reflected, model = seen
    if kind not in {"table", "index"}:
        return True
    if reflected:
        return kind == "index" or model is not None
    return bool(item.info.get(ONLY_ON, dialect) == dialect)


def _is_sp3(connection: sa.Connection) -> bool:
    return {"usage_metrics", "usage_rollups_daily"} <= set(sa.inspect(connection).get_table_names())
