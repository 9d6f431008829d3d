"""Writes lines through InfluxDB's own client, and says what became of them."""

import gzip
import re

import urllib3
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService

from collector.influx.errors import RejectedError, UncertainError, read_answer, unfit_header
from collector.influx.target import Target
from ledger.errors import UnavailableError

_BEYOND_RETENTION = "points beyond retention policy"
_DROPPED = re.compile(r"dropped=(\d+)")
_MILLISECONDS = 1000
_FASTEST = 1
_NO_CONTENT = 204


class Writer:
    """Sends lines and waits for the answer: nothing is buffered, nothing is tried again here."""

    def __init__(self, target: Target) -> None:
        self._url = target.url
        self._client = InfluxDBClient(
            url=target.url,
            token=target.token,
            org=target.org,
            timeout=round(target.timeout_seconds * _MILLISECONDS),
        )
        self._org = target.org
        self._service = WriteService(self._client.api_client)  # type: ignore[no-untyped-call] # as below

    def write(self, bucket: str, body: bytes) -> int:
        """Write lines with times in nanoseconds; return how many were too old for the bucket.

        Raises:
            RejectedError: some lines were refused, and others may be stored.
            TooLargeError: less at once will do.
            UncertainError: `influx_unavailable`; it may still be received.
            MeterlineError: see `read_answer`.
        """
        try:
            _, status, _ = self._service.post_write_with_http_info(  # type: ignore[no-untyped-call] # generated without types
                self._org,
                bucket,
                # The client itself would compress as hard as can be: six times the time of
                # the fastest way, for a quarter less bytes.
                gzip.compress(body, _FASTEST),
                precision="ns",
                content_encoding="gzip",
                content_type="text/plain; charset=utf-8",
            )
        except ApiException as error:
            return self._read_refusal(error)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as e:
            raise UnavailableError(
                "influx_unavailable", f"InfluxDB does not answer at {self._url}: {e}"
            ) from e
        except (urllib3.exceptions.HTTPError, InfluxDBError) as error:
            raise UncertainError(
                "influx_unavailable", f"InfluxDB did not answer at {self._url}: {error}"
            ) from error
        except UnicodeDecodeError as error:  # the client reads a proxy's page before its status
            raise UncertainError(
                "influx_unavailable", f"what answers at {self._url} is not InfluxDB"
            ) from error
        except ValueError:
            raise unfit_header() from None
        if status != _NO_CONTENT:
            # A page of a proxy, for one: to take it for the answer would lose what was sent.
            raise UncertainError(
                "influx_unavailable",
                f"what answers at {self._url} is not InfluxDB: it answers {status} to a write",
            )
        return 0

    def close(self) -> None:
        """Close the connections."""
        self._client.close()  # type: ignore[no-untyped-call] # the client has no types here

    def _read_refusal(self, error: ApiException) -> int:
        if not error.status:
            raise UnavailableError(
                "influx_unavailable", f"InfluxDB does not answer at {self._url}: {error.reason}"
            ) from error
        text = (
            error.body
            if isinstance(error.body, str)
            else (error.body or b"").decode(errors="replace")
        )
        refusal = read_answer(error.status, text or str(error.reason))
        if isinstance(refusal, RejectedError) and _BEYOND_RETENTION in text:
            # InfluxDB gives this reason when it has stored all the others.
            found = _DROPPED.search(text)
            return int(found[1]) if found else 1
        raise refusal from error
