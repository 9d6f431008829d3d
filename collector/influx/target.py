"""Where the series are: one InfluxDB, one bucket or two."""

from dataclasses import dataclass, field, replace

from ledger.settings import Settings

_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """An InfluxDB and the buckets in it; on 1.x and 3.x a bucket is a database.

    Attributes:
        url: without a trailing slash.
        token: empty where none is needed; on 1.8 `user:password`.
        org: of 2.x, otherwise empty.
        bucket: of `usage_cost` and `usage_tenant_day`.
        usage_bucket: of `usage`; the same one unless raw points have a retention of their own.
        timeout_seconds: how long one answer may take.
    """

    url: str
    token: str = field(default="", repr=False)
    org: str = ""
    bucket: str = "meterline"
    usage_bucket: str = "meterline"
    timeout_seconds: float = 10.0

    @property
    def patient(self) -> "Target":
        """The same, for requests over all that is there, which take longer than a write."""
        return replace(self, timeout_seconds=max(self.timeout_seconds, _PATIENCE_SECONDS))

    @property
    def buckets(self) -> tuple[str, ...]:
        """The buckets there are, each once."""
        return tuple(dict.fromkeys((self.bucket, self.usage_bucket)))


def build_target(settings: Settings) -> Target | None:
    """Return the target that the settings describe, or None where no InfluxDB is configured."""
    if settings.influx_url is None:
        return None
    token = settings.influx_token
    return Target(
        url=settings.influx_url,
        token="" if token is None else token.get_secret_value(),
        org=settings.influx_org,
        bucket=settings.influx_bucket,
        usage_bucket=settings.influx_usage_bucket or settings.influx_bucket,
        timeout_seconds=settings.influx_timeout_seconds,
    )


def build_read_target(settings: Settings) -> Target | None:
    """Return the same target with the token that only reads, where there is one."""
    target, token = build_target(settings), settings.influx_read_token
    if target is None or token is None:
        return target
    return replace(target, token=token.get_secret_value())
