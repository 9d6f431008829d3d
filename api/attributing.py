"""Attributes what waits when a request has added a mapping, and tells what became of it."""

from datetime import datetime

from flask import current_app

from api import mapping_schemas as wire
from api.services import Services
from collector.attribution.job import Attribution, Failure

_AT_ONCE = 200
"""About how many usages a request moves; the worker moves the rest."""


def attribute(*, now: datetime) -> wire.AttributedAnswer:
    """Move usage to its tenants, and tell of those that could not be given what is theirs.

    Raises:
        UnavailableError: the ledger did not answer.
    """
    done = Attribution(Services.of(current_app).engine).run(now=now, limit=_AT_ONCE)
    for failure in done.failures:
        current_app.logger.error(
            "usage of tenant %s stays in transit: %s", failure.tenant_id, failure.reason
        )
    failed = [_tell(failure) for failure in done.failures]
    return wire.AttributedAnswer(usages=done.usages, failed_count=len(failed), failed=failed)


def _tell(failure: Failure) -> wire.FailedAnswer:
    if failure.code is not None:
        return wire.FailedAnswer(tenant=failure.tenant_id, code=failure.code, reason=failure.reason)
    return wire.FailedAnswer(
        tenant=failure.tenant_id,
        code="internal_error",
        reason="something is wrong on our side; it was logged",
    )
