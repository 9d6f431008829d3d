"""Sends notices by mail through SendGrid."""

import http.client
from typing import Any

import orjson
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import CustomArg, Mail

from collector.notices.sending import CUSTOM_ARGUMENT, Attempt
from collector.notices.wording import body_of, subject_of
from ledger.budget_notices import BudgetNotice

_REFUSED = frozenset({400, 413})


class MailSender:
    """Sends a mail to each recipient of a notice, none of whom sees the others.

    Args:
        api_key: of SendGrid, with the right to send.
        sender: the address that mails come from, which SendGrid has verified.
        url: of SendGrid's API.
        timeout_seconds: of connecting, and of each wait for more of the answer.
    """

    def __init__(self, api_key: str, *, sender: str, url: str, timeout_seconds: float) -> None:
        self._client = SendGridAPIClient(api_key, host=url)
        # The package waits for ever by itself.
        self._client.client.timeout = timeout_seconds
        self._sender = sender

    def send(self, notice: BudgetNotice) -> Attempt:
        """Send a notice; what SendGrid says in words may name an address, so its status is kept."""
        try:
            self._client.send(self._compose(notice))
        except HTTPError as error:
            return Attempt(f"SendGrid answered {error.status_code}", error.status_code in _REFUSED)
        except (OSError, http.client.HTTPException) as error:
            return Attempt(f"SendGrid did not answer: {type(error).__name__}")
        return Attempt()

    def _compose(self, notice: BudgetNotice) -> Mail:
        said: dict[str, Any] = orjson.loads(notice.document)
        mail = Mail(
            from_email=self._sender,
            to_emails=list(notice.recipients),
            subject=subject_of(said),
            plain_text_content=body_of(said),
            is_multiple=True,
        )
        mail.custom_arg = CustomArg(CUSTOM_ARGUMENT, said["id"])
        return mail
