"""The data source of a tenant: the gateway, with an API key that Grafana alone knows."""

from dataclasses import dataclass, field
from typing import Any

from grafana.dashboards.catalogue import SERIES_SOURCE
from grafana.provisioning.client import Client
from grafana.provisioning.matching import has_all
from grafana.provisioning.target import Target

SOURCE_NAME = "Meterline"

_PATH = f"/datasources/uid/{SERIES_SOURCE}"
_KEY = "meterlineKey"


@dataclass(frozen=True, kw_only=True, slots=True)
class Secret:
    """An API key as the data source carries it."""

    key_id: str
    text: str = field(repr=False)


def find_key_id(client: Client, target: Target) -> str | None:
    """Return the id of the key in the data source; None where it is missing or not as wanted.

    Grafana tells that there is a secret and not which, so its id stands beside it.
    """
    found = client.find(_PATH, "look for the data source")
    if found is None:
        return None
    key_id = found.get("jsonData", {}).get(_KEY)
    wanted = _wanted(target, str(key_id))
    has_secret = found.get("secureJsonFields", {}).get("httpHeaderValue1") is True
    return str(key_id) if key_id and has_secret and has_all(found, wanted) else None


def put_source(client: Client, target: Target, secret: Secret) -> str:
    """Make the data source be as wanted, with this secret; return what was changed.

    Raises:
        TakenError: another process changed it at the same time.
        UnavailableError: see `errors.telling`.
    """
    body = _wanted(target, secret.key_id)
    body["secureJsonData"] = {"httpHeaderValue1": f"Token {secret.text}"}
    there = client.find(_PATH, "look for the data source")
    if there is None:
        client.post("/datasources", "make the data source", body)
        return "made the data source"
    body["version"] = there.get("version")
    client.put(_PATH, "change the data source", body)
    return "changed the data source"


def _wanted(target: Target, key_id: str) -> dict[str, Any]:
    return {
        "uid": SERIES_SOURCE,
        "name": SOURCE_NAME,
        "type": "influxdb",
        "access": "proxy",
        "url": target.gateway_url,
        "isDefault": True,
        "basicAuth": False,
        "jsonData": {
            "version": "InfluxQL",
            "dbName": target.database,
            # Queries are long, and what is in an address is written to logs.
            "httpMode": "POST",
            "httpHeaderName1": "Authorization",
            _KEY: key_id,
        },
    }
