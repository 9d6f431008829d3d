"""Sends notices to the one address that the operator chose, signed."""

from collections.abc import Sequence

import orjson
import urllib3

from collector.notices.sending import Attempt
from collector.notices.signature import HEADER, sign
from ledger.budget_notices import BudgetNotice
from ledger.clock import Clock

ID_HEADER = "Meterline-Notice"
"""Carries the id in the document, so that a receiver acts once on it without reading that. It names
the tenant: within one alone is the id that the ledger keeps of its own."""

_GONE = 410
_SUCCESS = range(200, 300)


class WebhookSender:
    """Posts the document of a notice. Redirects are not followed: they lead where nobody chose.

    Args:
        url: of the receiver.
        secrets: that bodies are signed with.
        timeout_seconds: of connecting, and of each wait for more of the answer.
        clock: for the time in the signature.
    """

    def __init__(
        self, url: str, secrets: Sequence[str], *, timeout_seconds: float, clock: Clock
    ) -> None:
        self._url = url
        self._secrets = tuple(secrets)
        self._clock = clock
        self._pool = urllib3.PoolManager(retries=False, timeout=timeout_seconds)

    def send(self, notice: BudgetNotice) -> Attempt:
        """Send a notice; any 2xx takes it, 410 never will."""
        body = notice.document.encode()
        headers = {
            "Content-Type": "application/json",
            ID_HEADER: orjson.loads(notice.document)["id"],
            HEADER: sign(body, self._secrets, at=self._clock()),
        }
        try:
            response = self._pool.request(
                "POST", self._url, body=body, headers=headers, redirect=False, preload_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            return Attempt(f"the receiver did not answer: {type(error).__name__}")
        # What is in the answer is nobody's business here, however long it is.
        response.close()
        if response.status in _SUCCESS:
            return Attempt()
        return Attempt(f"the receiver answered {response.status}", response.status == _GONE)

    def close(self) -> None:
        """Close the connections that were kept."""
        self._pool.clear()
