"""Stand-ins for InfluxDB 2.x and 3.x, which no package of Debian has.

They answer the few requests that Meterline makes, as the documentation of their makers says: the
buckets API, token forms, partial writes with 422. They store nothing but what is asked of them.
"""

import gzip
import json
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers.faults import FaultProxy, Reply, Request

TOKEN = "a-token-of-a-test"
ORG = "acme-org"


def _json(status: int, document: object) -> Reply:
    body = json.dumps(document).encode()
    return Reply(status, body, (("Content-Type", "application/json"),))


class InfluxTwoStandIn:
    """Answers as InfluxDB 2.7 does, with one organisation and one token."""

    version = "v2.7.11"

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, Any]] = {}
        self.lines: dict[str, list[str]] = {}
        self.requests: list[Request] = []
        self._proxy = FaultProxy("http://127.0.0.1:1")  # nothing is passed on
        self._proxy.rule = self._answer
        self.url = self._proxy.url

    def close(self) -> None:
        self._proxy.close()

    def _answer(self, request: Request) -> Reply:
        self.requests.append(request)
        parts = urlsplit(request.path)
        parameters = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/ping":
            return Reply(204, headers=(("X-Influxdb-Version", self.version),))
        if request.headers.get("Authorization") != f"Token {TOKEN}":
            return _json(401, {"code": "unauthorized", "message": "unauthorized access"})
        handlers = {
            ("GET", "/api/v2/orgs"): lambda: self._find_org(parameters),
            ("GET", "/api/v2/buckets"): lambda: self._find(parameters),
            ("POST", "/api/v2/buckets"): lambda: self._make(json.loads(request.body)),
            ("POST", "/api/v2/write"): lambda: self._write(parameters, request.body),
            ("POST", "/query"): lambda: self._query(parameters),
        }
        if request.method == "PATCH":
            return self._change(parts.path, json.loads(request.body))
        missing = _json(404, {"code": "not found", "message": "path not found"})
        return handlers.get((request.method, parts.path), lambda: missing)()

    def _find_org(self, parameters: dict[str, str]) -> Reply:
        if parameters.get("org") != ORG:
            return _json(404, {"code": "not found", "message": "organization name not found"})
        return _json(200, {"orgs": [{"id": "0abc", "name": ORG}]})

    def _find(self, parameters: dict[str, str]) -> Reply:
        if parameters.get("org", ORG) != ORG:
            return _json(404, {"code": "not found", "message": "organization name not found"})
        bucket = self.buckets.get(parameters["name"])
        return _json(200, {"buckets": [] if bucket is None else [bucket]})

    def _make(self, document: dict[str, Any]) -> Reply:
        if document["orgID"] != "0abc" or document["name"] in self.buckets:
            return _json(422, {"code": "conflict", "message": "bucket already exists"})
        rules = document["retentionRules"]
        bucket = {"id": f"b{len(self.buckets)}", "name": document["name"], "retentionRules": rules}
        self.buckets[document["name"]] = bucket
        return _json(201, bucket)

    def _change(self, path: str, document: dict[str, Any]) -> Reply:
        for bucket in self.buckets.values():
            if path == f"/api/v2/buckets/{bucket['id']}":
                bucket.update(document)
                return _json(200, bucket)
        return _json(404, {"code": "not found", "message": "bucket not found"})

    def _write(self, parameters: dict[str, str], body: bytes) -> Reply:
        if parameters.get("org") != ORG:
            return _json(404, {"code": "not found", "message": "organization name not found"})
        if parameters.get("bucket") not in self.buckets:
            return _json(404, {"code": "not found", "message": 'bucket "x" not found'})
        with suppress(gzip.BadGzipFile):
            body = gzip.decompress(body)
        lines = body.decode().splitlines()
        good = [line for line in lines if "poison" not in line]
        self.lines.setdefault(parameters["bucket"], []).extend(good)
        if len(good) < len(lines):
            message = (
                "failure writing points to database: partial write: field type conflict: input"
                f' field "quantity" on measurement "usage" dropped={len(lines) - len(good)}'
            )
            return _json(422, {"code": "unprocessable entity", "message": message})
        return Reply(204)

    def _query(self, parameters: dict[str, str]) -> Reply:
        if parameters.get("db", "") not in self.buckets:
            return _json(404, {"code": "not found", "message": "no dbrp mapping found"})
        return _json(200, {"results": [{"statement_id": 0}]})


class InfluxThreeStandIn(InfluxTwoStandIn):
    """Answers as InfluxDB 3 does where it differs: no buckets API, databases made by writing."""

    version = "3.0.1"

    def _find(self, parameters: dict[str, str]) -> Reply:
        del parameters
        return _json(404, {"error": "not found"})

    def _write(self, parameters: dict[str, str], body: bytes) -> Reply:
        self.buckets.setdefault(parameters["bucket"], {})
        return super()._write({**parameters, "org": ORG}, body)
