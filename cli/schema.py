"""Moves the schema along its revisions, and compares it with the models."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from ledger.errors import ConflictError, InvalidError, MissingError
from ledger.models import metadata
from ledger.session import operator_session


def head_revision() -> str:
    """Return the newest revision that this version of Meterline knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise AssertionError("there is at least one revision")
    return head


def current_revision(engine: sa.Engine) -> str | None:
    """Return the revision of the ledger, None for an empty database."""
    with operator_session(engine) as session:
        return MigrationContext.configure(session.connection).get_current_revision()


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
    """Bring the schema up to a revision; all or nothing.

    Raises:
        ConflictError: `schema_newer`.
    """
    _require_known(current_revision(engine))
    with _migrating(engine) as config:
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
    with _migrating(engine) as config:
        command.downgrade(config, revision)


def find_drift(engine: sa.Engine) -> list[str]:
    """Return where the schema differs from the models."""
    with operator_session(engine) as session:
        context = MigrationContext.configure(session.connection, opts={"compare_type": True})
        return [str(difference) for difference in compare_metadata(context, metadata)]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("migrations")))
    return config


@contextmanager
def _migrating(engine: sa.Engine) -> Iterator[Config]:
    config = _config()
    with operator_session(engine, write=True) as session:
        config.attributes["connection"] = session.connection
        yield config


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
