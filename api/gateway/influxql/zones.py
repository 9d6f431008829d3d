"""Time zones by name, as `tz()` has them."""

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from api.gateway.influxql.errors import refuse

_NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,2}", re.ASCII)


def find_zone(name: str) -> ZoneInfo:
    """Return the time zone of this name.

    Raises:
        InvalidError: `query_refused`.
    """
    if _NAME.fullmatch(name) is not None:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, OSError, ValueError):  # a folder of zones is an OSError
            pass
    raise refuse("tz() takes an IANA time zone such as 'Europe/Berlin'")
