"""What Grafana answers when it does not do what it was asked, told in a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import requests
from grafana_client.client import GrafanaException

from ledger.errors import ConflictError, MissingError, UnavailableError, shorten

_CONFLICTS = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})
_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class AbsentError(MissingError):
    """Grafana has no such thing."""


class TakenError(ConflictError):
    """Somebody else was faster: it is there already, or was changed since it was read."""


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Turn whatever goes wrong in a call into an error of ours.

    Args:
        what: is being done, for the sentence: "look for the organisation of acme".

    Raises:
        AbsentError: 404.
        TakenError: 409 or 412.
        UnavailableError: `grafana_refused` or `grafana_unavailable`.
    """
    try:
        yield
    except GrafanaException as error:
        raise _translate(what, error.status_code, shorten(error.message) or "") from None
    except (requests.RequestException, ValueError) as error:
        # The text of an error of the network can have the address with everything in it.
        raise UnavailableError(
            "grafana_unavailable",
            f"Grafana did not {what}: {_reason(error)}; run it again when Grafana answers",
        ) from None


def _translate(what: str, status: int, answer: str) -> AbsentError | TakenError | UnavailableError:
    told = f"Grafana did not {what}: {answer} (status {status})"
    if status == HTTPStatus.NOT_FOUND:
        return AbsentError("grafana_absent", told)
    if status in _CONFLICTS:
        return TakenError("grafana_conflict", told)
    if status in _REFUSALS:
        return UnavailableError(
            "grafana_refused",
            f"{told}; METERLINE_GRAFANA_USER and METERLINE_GRAFANA_PASSWORD must be those of its"
            " server admin",
        )
    return UnavailableError("grafana_unavailable", told)


def _reason(error: Exception) -> str:
    match error:
        case requests.Timeout():
            return "it did not answer in time"
        case requests.exceptions.JSONDecodeError():
            return "what answers at this address is not Grafana"
        case requests.ConnectionError():
            return "it cannot be reached"
        case _:
            return type(error).__name__
