"""One line for each request to the gateway: who, what by its digest, how long, how it ended."""

import logging
import time

from flask import Response, g, request
from flask.logging import default_handler

from api.auth.caller import find_caller
from api.gateway.errors import is_gateway
from api.gateway.request import digest_query

LOGGER = "meterline.gateway"


def prepare_audit() -> None:
    """Let audit lines be written, whatever the level of other logs is."""
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)
    if not logger.handlers:
        logger.addHandler(default_handler)


def start_audit() -> None:
    """Remember when a request to the gateway began."""
    if is_gateway():
        g.gateway_begun = time.monotonic()


def write_audit(response: Response) -> Response:
    """Write the line; neither the text of a query nor a secret is in it."""
    if not is_gateway():
        return response
    who = find_caller()
    taken = time.monotonic() - g.gateway_begun
    logging.getLogger(LOGGER).info(
        "gateway query: tenant=%s caller=%s status=%d ms=%d sha256=%s",
        "-" if who is None else who.tenant_id or "*",
        "-" if who is None else who.subject,
        response.status_code,
        round(taken * 1000),
        _digest(),
    )
    return response


def _digest() -> str:
    """Return the digest of the query, also of one that nobody read since the secret was missing."""
    found: str | None = g.get("query_digest")
    text = request.args.get("q")
    return found or (digest_query(text) if text else "-")
