"""Sends notices to the one address that the operator chose, signed."""

from collections.abc import Sequence

import orjson
import urllib3

from collector.deadline import Deadline, build_pool
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
        timeout_seconds: of connecting, and of the answer up to the end of its headers.
        clock: for the time in the signature.
    """

    def __init__(
        self, url: str, secrets: Sequence[str], *, timeout_seconds: float, clock: Clock
    ) -> None:
        self._url = url
        self._secrets = tuple(secrets)
        self._clock = clock
        self._timeout = timeout_seconds
        self._pool = build_pool(1)

    def send(self, notice: BudgetNotice) -> Attempt:
        """Send a notice; any 2xx takes it, 410 never will."""
        body = notice.document.encode()
        headers = {
            "Content-Type": "application/json",
            ID_HEADER: orjson.loads(notice.document)["id"],
            HEADER: sign(body, self._secrets, at=self._clock()),
        }
        deadline = Deadline(self._timeout)
        try:
            with deadline.current():
                response = self._pool.request(
                    "POST",
                    self._url,
                    body=body,
                    headers=headers,
                    timeout=self._timeout,
                    redirect=False,
                    preload_content=False,
                )
        except urllib3.exceptions.HTTPError as error:
            reason = "its time was over" if deadline.end() else type(error).__name__
            return Attempt(f"the receiver did not answer: {reason}")
        finally:
            deadline.end()
        # What is in the answer is nobody's business here, however long it is.
        response.close()
        if response.status in _SUCCESS:
            return Attempt()
        return Attempt(f"the receiver answered {response.status}", response.status == _GONE)

    def close(self) -> None:
        """Close the connections that were kept."""
        self._pool.clear()
