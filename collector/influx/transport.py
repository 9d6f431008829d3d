"""HTTP to InfluxDB, for all but writes: those go through its own client."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson
import urllib3

from collector.deadline import Deadline, build_pool
from collector.influx.errors import RejectedError, TooLargeError, read_answer, unfit_header
from collector.influx.target import Target
from ledger.errors import InvalidError, UnavailableError

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_REDIRECTED = 300
_PART_BYTES = 65_536
_MAX_REFUSAL_BYTES = 4_096


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
                "influx_unavailable",
                "what answers at this address is not InfluxDB: its answer is not a JSON object",
            )
        return document


class Transport:
    """Sends requests with the token in the one form that all versions take."""

    def __init__(self, target: Target, *, connections: int = 1) -> None:
        """Connect on the first request; `connections` are kept for the next ones."""
        self._url = target.url
        self._timeout = target.timeout_seconds
        self._pool = build_pool(connections)
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
        body, media_type = b"", ""
        if form is not None:
            body, media_type = urlencode(form).encode(), _FORM
        elif document is not None:
            body, media_type = orjson.dumps(document), _JSON
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        with self._reaching():
            response = self._request(method, target, body, media_type, seconds=self._timeout)
        _require_success(response.status, response.data)
        return Answer(response.headers, response.data)

    @contextmanager
    def stream(
        self, path: str, parameters: Mapping[str, str], form: Mapping[str, str], *, seconds: float
    ) -> Iterator[Iterator[bytes]]:
        """Post a form, and read the answer as it comes.

        Whoever has read enough leaves the block; the connection is closed then, by which InfluxDB
        learns that nobody waits for the rest.

        Args:
            path: of the request.
            parameters: in its query string.
            form: its body.
            seconds: how long the whole of the answer may take, from now on.

        Raises:
            MeterlineError: see `send`; also while the answer is read.
        """
        target, body = f"{path}?{urlencode(parameters)}", urlencode(form).encode()
        with self._reaching(), _ending(Deadline(seconds)) as deadline:
            with deadline.current():
                response = self._request("POST", target, body, _FORM, seconds=seconds, whole=False)
            try:
                if response.status >= _REDIRECTED:
                    _require_success(response.status, response.read(_MAX_REFUSAL_BYTES))
                yield response.stream(_PART_BYTES)
                # What was cut off can look like a whole answer, whose connection is good for more.
                if not deadline.end():
                    response.release_conn()
            finally:
                response.close()

    def _request(  # noqa: PLR0913 - what a request has; keyword-only where it is not plain
        self,
        method: str,
        target: str,
        body: bytes,
        media_type: str,
        *,
        seconds: float,
        whole: bool = True,
    ) -> urllib3.BaseHTTPResponse:
        headers = dict(self._headers)
        if media_type:
            headers["Content-Type"] = media_type
        url = f"{self._url}{target}"
        return self._pool.request(
            method, url, body=body, headers=headers, timeout=seconds, preload_content=whole
        )

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Say what it means when no answer comes."""
        try:
            yield
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(
                "influx_unavailable", f"InfluxDB does not answer at {self._url}: {error}"
            ) from error
        except ValueError:
            raise unfit_header() from None


@contextmanager
def _ending(deadline: Deadline) -> Iterator[Deadline]:
    """Say that the time was over, where it was: whatever else went wrong then came of that."""
    try:
        yield deadline
    except urllib3.exceptions.HTTPError:
        if deadline.end():
            raise _too_late() from None
        raise
    finally:
        is_over = deadline.end()
    if is_over:
        raise _too_late()


def _too_late() -> UnavailableError:
    return UnavailableError("influx_unavailable", "InfluxDB does not answer in time; ask for less")


def _require_success(status: int, body: bytes) -> None:
    if status < _REDIRECTED:
        return
    refusal = read_answer(status, body.decode(errors="replace"))
    if isinstance(refusal, RejectedError | TooLargeError):
        raise InvalidError("influx_refused", f"InfluxDB refuses the request: {refusal}")
    raise refusal
