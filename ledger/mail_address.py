"""Addresses that somebody configured for mail to go to, or to come from."""

import re

from ledger.errors import InvalidError

MAX_ADDRESS = 254
"""Most characters of an address that can be delivered to."""

# Plain addresses alone: no name before it, no quotes, no comment, nothing that ends a header.
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=.{{1,64}}@){_LOCAL}@(?:{_LABEL}\.)+{_LABEL}", re.ASCII)


def parse_address(text: object, *, key: str) -> str:
    """Check that a text is a plain address for mail, such as `billing@acme.example`.

    Raises:
        InvalidError: `invalid_address`; the text is not repeated.
    """
    if isinstance(text, str) and len(text) <= MAX_ADDRESS and _ADDRESS.fullmatch(text):
        return text
    raise InvalidError(
        "invalid_address", f"{key} holds something that is not an e-mail address", key=key
    )
