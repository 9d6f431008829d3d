"""Buckets of InfluxDB: databases on 1.x, the buckets API on 2.x, nothing to make on 3.x."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from collector.influx.errors import reading_answer
from collector.influx.query import Reader, quote_name
from collector.influx.target import Target
from collector.influx.transport import Transport
from ledger.errors import InvalidError, MeterlineError, MissingError

_VERSION = re.compile(r"v?(\d+)\.")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_FIRST_POLICY = "autogen"
_SHARD_OF_SHORT_RETENTION = "1d"


class Flavour(StrEnum):
    """The three kinds of InfluxDB that differ in how buckets are made."""

    V1 = "1.x"
    V2 = "2.x"
    V3 = "3.x"


class Server(NamedTuple):
    """What answered: the version as it says it, and its kind."""

    version: str
    flavour: Flavour


class Made(StrEnum):
    """What making sure of a bucket came to."""

    CREATED = "created"
    CHANGED = "retention changed"
    UNCHANGED = "there already"
    IMPLICIT = "made by InfluxDB 3 with the first write"


class Buckets:
    """Looks at the buckets of an InfluxDB and makes them."""

    def __init__(self, target: Target, transport: Transport) -> None:
        self._org = target.org
        self._transport = transport
        self._reader = Reader(transport)

    def find_server(self) -> Server:
        """Ask what this InfluxDB is.

        Raises:
            MeterlineError: see `Transport.send`.
        """
        answer = self._transport.get("/ping")
        version = answer.headers.get("X-Influxdb-Version", "")
        if not version and answer.body:
            version = str(answer.read_json().get("version", ""))
        found = _VERSION.match(version)
        flavours = {"1": Flavour.V1, "2": Flavour.V2, "3": Flavour.V3}
        # The cloud gives no number; it has the buckets API.
        return Server(version or "unknown", flavours.get(found[1] if found else "2", Flavour.V3))

    def read_retention(self, bucket: str, flavour: Flavour) -> timedelta | None:
        """Return how long a bucket keeps points; None: for ever, or it cannot be asked (3.x).

        Raises:
            MissingError: `influx_bucket_missing`.
            MeterlineError: see `Transport.send`.
        """
        match flavour:
            case Flavour.V1:
                return _to_duration(self._read_policy(bucket)["duration"])
            case Flavour.V2:
                found = self._find_bucket(bucket)
                if found is None:
                    raise _missing(bucket)
                return _to_retention(found)
            case Flavour.V3:
                return None

    def ensure(self, bucket: str, flavour: Flavour, retention: timedelta | None) -> Made:
        """Make a bucket unless it is there; give it a retention where one is asked for.

        Args:
            bucket: its name.
            flavour: of the server.
            retention: None leaves a bucket that is there as it is, and a new one keeps all.

        Raises:
            InvalidError: `influx_refused`.
            MeterlineError: see `Transport.send`.
        """
        match flavour:
            case Flavour.V1:
                return self._ensure_database(bucket, retention)
            case Flavour.V2:
                return self._ensure_bucket(bucket, retention)
            case Flavour.V3:
                return Made.IMPLICIT

    def _ensure_database(self, bucket: str, retention: timedelta | None) -> Made:
        name = quote_name(bucket)
        duration = None if retention is None else f"{round(retention.total_seconds())}s"
        try:
            policy = self._read_policy(bucket)
        except MissingError:
            with_duration = (
                ""
                if duration is None
                else f" WITH DURATION {duration} SHARD DURATION {_SHARD_OF_SHORT_RETENTION}"
                f" NAME {quote_name(_FIRST_POLICY)}"
            )
            self._reader.run(f"CREATE DATABASE {name}{with_duration}")
            return Made.CREATED
        if retention in (None, _to_duration(policy["duration"])):
            return Made.UNCHANGED
        self._reader.run(
            f"ALTER RETENTION POLICY {quote_name(policy['name'])} ON {name}"
            f" DURATION {duration} SHARD DURATION {_SHARD_OF_SHORT_RETENTION}"
        )
        return Made.CHANGED

    def _read_policy(self, bucket: str) -> dict[str, Any]:
        series = self._reader.run(f"SHOW RETENTION POLICIES ON {quote_name(bucket)}")
        for columns, values in ((one.columns, one.values) for one in series):
            for row in values:
                policy = dict(zip(columns, row, strict=True))
                with reading_answer():
                    if policy["default"]:
                        return {name: str(policy[name]) for name in ("name", "duration")}
        raise _missing(bucket)

    def _ensure_bucket(self, bucket: str, retention: timedelta | None) -> Made:
        seconds = 0 if retention is None else round(retention.total_seconds())
        rules = [{"type": "expire", "everySeconds": seconds}] if seconds else []
        found = self._find_bucket(bucket)
        if found is None:
            document = {"orgID": self._find_org(), "name": bucket, "retentionRules": rules}
            self._transport.send("POST", "/api/v2/buckets", {}, document=document)
            return Made.CREATED
        if retention in (None, _to_retention(found)):
            return Made.UNCHANGED
        path = f"/api/v2/buckets/{found['id']}"
        self._transport.send("PATCH", path, {}, document={"retentionRules": rules})
        return Made.CHANGED

    def _find_bucket(self, bucket: str) -> dict[str, Any] | None:
        org = {"org": self._org} if self._org else {}
        try:
            answer = self._transport.get("/api/v2/buckets", name=bucket, **org)
        except MissingError as error:  # a version may answer so where the bucket is not there
            if error.code == "influx_org_missing":
                raise
            return None
        document = answer.read_json()
        with reading_answer():
            found = [dict(each) for each in document.get("buckets") or []]
            return next(
                (
                    {"id": str(each["id"]), "rules": list(each.get("retentionRules") or [])}
                    for each in found
                    if each.get("name") == bucket
                ),
                None,
            )

    def check_org(self, flavour: Flavour) -> None:
        """Check that the organisation is set where it is needed: 2.x takes no write without one.

        Raises:
            InvalidError: `influx_refused`.
        """
        if flavour is Flavour.V2 and not self._org:
            raise InvalidError("influx_refused", "InfluxDB 2.x needs METERLINE_INFLUX_ORG")

    def _find_org(self) -> str:
        self.check_org(Flavour.V2)
        try:
            document = self._transport.get("/api/v2/orgs", org=self._org).read_json()
        except MissingError:
            document = {}
        with reading_answer():
            ids = [str(each["id"]) for each in document.get("orgs") or []]
        if not ids:
            raise MissingError(
                "influx_org_missing", f"InfluxDB has no organisation {self._org}", value=self._org
            )
        return ids[0]


def _missing(bucket: str) -> MeterlineError:
    return MissingError(
        "influx_bucket_missing",
        f"InfluxDB has no bucket {bucket}; run `meterline influx setup`",
        value=bucket,
    )


def _to_retention(bucket: dict[str, Any]) -> timedelta | None:
    with reading_answer():
        seconds = sum(int(rule.get("everySeconds", 0)) for rule in bucket["rules"])
        return timedelta(seconds=seconds) if seconds else None


def _to_duration(text: str) -> timedelta | None:
    """Read a duration as 1.x writes it, such as `720h0m0s`; `0s` is for ever."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds) or None
