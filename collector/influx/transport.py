"""HTTP to InfluxDB, for all but writes: those go through its own client."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson
import urllib3

from collector.influx.errors import RejectedError, TooLargeError, read_answer, unfit_header
from collector.influx.target import Target
from ledger.errors import InvalidError, UnavailableError

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_REDIRECTED = 300


class Answer(NamedTuple):
    """A success: its headers and its body."""

    headers: Mapping[str, str]
    body: bytes

    def read_json(self) -> dict[str, Any]:
        """Return the body decoded: all that InfluxDB says is an object of JSON.

        Raises:
            UnavailableError: `influx_unavailable`, when something else than InfluxDB answered.
        """
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            raise UnavailableError(
                "influx_unavailable", "what answered is no InfluxDB: its answer is no JSON object"
            )
        return document


class Transport:
    """Sends requests with the token in the one form that all versions take."""

    def __init__(self, target: Target) -> None:
        self._url = target.url
        self._pool = urllib3.PoolManager(retries=False, timeout=target.timeout_seconds)
        self._headers = {"Authorization": f"Token {target.token}"} if target.token else {}

    def get(self, path: str, **parameters: str) -> Answer:
        """Send a GET request.

        Raises:
            MeterlineError: see `send`.
        """
        return self.send("GET", path, parameters)

    def send(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        *,
        form: Mapping[str, str] | None = None,
        document: object = None,
    ) -> Answer:
        """Send a request with a form or a JSON document in its body, or without a body.

        Raises:
            UnavailableError: `influx_unavailable`.
            ForbiddenError: `influx_token_refused`.
            MissingError: `influx_bucket_missing` or `influx_path_missing`.
            InvalidError: `influx_refused`.
        """
        body, headers = b"", dict(self._headers)
        if form is not None:
            body, headers["Content-Type"] = urlencode(form).encode(), _FORM
        elif document is not None:
            body, headers["Content-Type"] = orjson.dumps(document), _JSON
        url = f"{self._url}{path}?{urlencode(parameters)}" if parameters else f"{self._url}{path}"
        try:
            response = self._pool.request(method, url, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(
                "influx_unavailable", f"InfluxDB does not answer at {self._url}: {error}"
            ) from error
        except ValueError:
            raise unfit_header() from None
        if response.status < _REDIRECTED:
            return Answer(response.headers, response.data)
        refusal = read_answer(response.status, response.data.decode(errors="replace"))
        if isinstance(refusal, RejectedError | TooLargeError):
            raise InvalidError("influx_refused", f"InfluxDB refuses the request: {refusal}")
        raise refusal
