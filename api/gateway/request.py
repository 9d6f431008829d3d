"""Reads a request as Grafana sends it: `q` in the query string or in a form, `db` and `epoch`."""

from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qsl

from flask import g, request

from api.body import read_whole_body
from api.errors import UnsupportedTypeError
from api.gateway.errors import refuse_parameter
from ledger.errors import shorten

MAX_BODY_BYTES = 262_144

_FORM = "application/x-www-form-urlencoded"
_TAKEN = ("q", "db", "epoch", "rp", "chunked", "pretty")
_EPOCHS = frozenset({"", "ns", "u", "µ", "ms", "s", "m", "h"})
_MAX_FIELDS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """What is asked: a text, in which database (empty: the one there is), with which times."""

    text: str
    database: str
    epoch: str


def read_query() -> Query:
    """Return what the current request asks. From then on the audit knows the digest of its text.

    Raises:
        InvalidError: `query_refused`, or what `read_whole_body` raises.
        UnsupportedTypeError: `unsupported_type`.
    """
    found = _parse(request.query_string)
    if request.method == "POST":
        found += _read_form()
    texts = [value for name, value in found if name == "q"]
    if len(texts) == 1:
        g.query_digest = digest_query(texts[0])
    given = dict(found)
    unknown = sorted(set(given) - set(_TAKEN))
    if unknown:
        raise refuse_parameter(
            f"no such parameter here: {shorten(unknown[0], 20)}; there are {', '.join(_TAKEN)}"
        )
    if len(given) < len(found):
        raise refuse_parameter("give each parameter once")
    if given.get("rp"):
        raise refuse_parameter("there is one retention policy; leave rp out")
    epoch = given.get("epoch", "")
    if epoch not in _EPOCHS:
        raise refuse_parameter("epoch is one of ns, u, ms, s, m, h")
    if not given.get("q"):
        raise refuse_parameter("missing required parameter q")
    return Query(text=given["q"], database=given.get("db", ""), epoch=epoch)


def digest_query(text: str) -> str:
    """Return what stands for a text in the log."""
    return sha256(text.encode()).hexdigest()


def _read_form() -> list[tuple[str, str]]:
    body = read_whole_body(limit=MAX_BODY_BYTES)
    if body and request.mimetype != _FORM:
        raise UnsupportedTypeError("unsupported_type", f"a body comes as {_FORM}")
    return _parse(body)


def _parse(text: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            text.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError:
        raise refuse_parameter("parameters are UTF-8, and few") from None
