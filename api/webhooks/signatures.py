"""Whether a webhook comes from whom it says: checked with the providers' own packages.

They are loaded where a key of theirs is set: SendGrid's takes longer than the rest of a request.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic import SecretStr
from werkzeug.datastructures import MultiDict

from ledger.errors import ForbiddenError, InvalidError, UnavailableError
from ledger.setting_values import parse_owned
from ledger.settings import Settings

REPLAY_WINDOW = timedelta(seconds=300)
"""How far the time that SendGrid signs may be from ours."""

_MAX_TIMESTAMP_DIGITS = 12

_Owned = list[tuple[str | None, str]]
_Validators = list[tuple[str | None, Any]]


class TwilioRequest(NamedTuple):
    """What Twilio signs, and how it says so.

    Attributes:
        target: path and query as they were received.
        form: all parameters.
        signature: `X-Twilio-Signature`.
        shared: `X-Twilio-Webhooks-Signature-Settings`, which comes with a shared key.
    """

    target: str
    form: MultiDict[str, str]
    signature: str
    shared: str | None


class TwilioSignatures:
    """Checks what Twilio signs: the public address with its query, and all parameters.

    Args:
        public_url: of this server, as Twilio calls it.
        tokens: auth tokens; one with an owner counts for webhooks of that account alone.
        shared_keys: secrets that count where Twilio says that it signs with a shared key, with
            owners as tokens have them.
    """

    def __init__(self, public_url: str, tokens: _Owned, shared_keys: _Owned) -> None:
        from twilio.request_validator import (  # noqa: PLC0415 - see above
            RequestValidator,
            get_signature_algorithm,
        )

        self._public_url = public_url
        self._algorithm_of = get_signature_algorithm
        self._tokens: _Validators = [(owner, RequestValidator(token)) for owner, token in tokens]
        self._shared: _Validators = [(owner, RequestValidator(key)) for owner, key in shared_keys]

    def check(self, sent: TwilioRequest) -> str | None:
        """Let a webhook pass that Twilio signed; return the account whose key alone it was.

        Raises:
            ForbiddenError: `invalid_signature`.
        """
        keys = self._shared if sent.shared else self._tokens
        algorithm, account = self._algorithm_of(sent.shared), sent.form.get("AccountSid")
        url = self._public_url + sent.target
        for owner, validator in keys:
            if owner in {None, account} and validator.validate(
                url, sent.form, sent.signature, algorithm
            ):
                return owner
        raise _invalid()


class SendGridSignatures:
    """Checks what SendGrid signs: a time, and the body as it is."""

    def __init__(self, keys: _Owned) -> None:
        from cryptography.hazmat.primitives.asymmetric.ec import (  # noqa: PLC0415 - see above
            EllipticCurvePublicKey,
        )
        from sendgrid.helpers.eventwebhook import EventWebhook  # noqa: PLC0415 - see above

        self._keys: _Validators = []
        for subuser, key in keys:
            try:
                verifier = EventWebhook(key)
            except ValueError:
                verifier = None
            if not isinstance(getattr(verifier, "public_key", None), EllipticCurvePublicKey):
                raise InvalidError(
                    "invalid_settings",
                    "settings are wrong:\n  METERLINE_SENDGRID_PUBLIC_KEY: holds something"
                    " that is not a verification key of SendGrid",
                )
            self._keys.append((subuser, verifier))

    def check(self, body: bytes, signature: str, timestamp: str, *, now: datetime) -> str | None:
        """Let a webhook pass that SendGrid signed just now; return whose key it was.

        Raises:
            ForbiddenError: `invalid_signature` or `stale_signature`.
        """
        for subuser, verifier in self._keys:
            if _holds(verifier, body, signature, timestamp):
                _check_time(timestamp, now)
                return subuser
        raise _invalid()


class Signatures(NamedTuple):
    """What checks the signatures of each provider; None where it has no key."""

    twilio: TwilioSignatures | None
    sendgrid: SendGridSignatures | None


def build_signatures(settings: Settings) -> Signatures:
    """Build what the settings have keys for.

    Raises:
        InvalidError: `invalid_settings`, a key that is none.
    """
    tokens, shared = _owned(settings.twilio_auth_token), _owned(settings.twilio_shared_key)
    keys = _owned(settings.sendgrid_public_key)
    url = settings.public_url
    return Signatures(
        TwilioSignatures(url, tokens, shared) if url and (tokens or shared) else None,
        SendGridSignatures(keys) if keys else None,
    )


def not_configured(setting: str) -> UnavailableError:
    """Return the error of a webhook that nobody can check; who repeats it later loses nothing."""
    return UnavailableError(
        "webhook_not_configured", f"webhooks of this provider need {setting} here"
    )


def missing_signature(header: str) -> ForbiddenError:
    """Return the error of a webhook without a signature."""
    return ForbiddenError(
        "missing_signature", f"the header {header} of the signature is missing", key=header
    )


def _owned(secret: SecretStr | None) -> _Owned:
    return [] if secret is None else parse_owned(secret.get_secret_value())


def _invalid() -> ForbiddenError:
    return ForbiddenError(
        "invalid_signature",
        "the signature does not hold; check the keys, and that METERLINE_PUBLIC_URL is the address"
        " as the provider has it",
    )


def _holds(verifier: Any, body: bytes, signature: str, timestamp: str) -> bool:
    try:
        return bool(verifier.verify_signature(body.decode(), signature, timestamp))
    except (TypeError, ValueError):  # no base64, no UTF-8, …: the package raises what Python does
        return False


def _check_time(timestamp: str, now: datetime) -> None:
    is_number = timestamp.isascii() and timestamp.isdigit()
    if is_number and len(timestamp) <= _MAX_TIMESTAMP_DIGITS:
        apart = abs(int(now.timestamp()) - int(timestamp))
        if apart <= REPLAY_WINDOW.total_seconds():
            return
    raise ForbiddenError(
        "stale_signature",
        "it was signed more than five minutes ago or ahead; check the clock of this machine",
    )
