"""A bare Flask route that inserts one event: `python -m bench.postgresql.route PORT DATABASE_URL`.

It is what one writes in a quarter of an hour: the same server with the same options, a pool, and
one statement. It checks nothing, and knows no credentials, tenants, walls, tombstones or batches.
"""

import sys
from datetime import datetime

import sqlalchemy as sa
from flask import Flask, Response, jsonify, request
from gunicorn.app.base import BaseApplication

from cli.server import server_options

_INSERT = (
    "INSERT INTO bare (tenant_id, event_id, id, batch_id, fingerprint, time, date, channel,"
    " direction, source, feature, model, price_class, quantity, input_tokens, output_tokens,"
    " derived, provisional, metadata)"
    " VALUES (%s, %s, nextval('booking_numbers'), 1, %s, %s, %s, %s, %s, %s, %s, %s, 'standard',"
    " %s, %s, %s, false, false, %s) ON CONFLICT DO NOTHING"
)
_FINGERPRINT = bytes(17)


def create(url: str) -> Flask:
    """Build the application."""
    app = Flask(__name__)
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")

    @app.post("/events")
    def book() -> Response:
        event = request.get_json()
        metadata = event["metadata"]
        time = datetime.fromisoformat(event["time"])
        sent, received = metadata["input_tokens"], metadata["output_tokens"]
        row = (
            *(event["tenant"], event["id"], _FINGERPRINT, time, time.date()),
            *(event["channel"], event["direction"], event["source"], event["feature"]),
            *(metadata["model"], sent + received, sent, received),
            app.json.dumps(metadata),
        )
        with engine.connect() as connection:
            stored = connection.exec_driver_sql(_INSERT, row).rowcount
        return jsonify(stored=stored)

    return app


class _Server(BaseApplication):
    def __init__(self, port: int, url: str) -> None:
        self._port = port
        self._url = url
        super().__init__()

    def load_config(self) -> None:
        for name, value in server_options("127.0.0.1", self._port, workers=2).items():
            self.cfg.set(name, value)

    def load(self) -> Flask:  # type: ignore[override] # the stubs spell WSGI in types of their own
        return create(self._url)


if __name__ == "__main__":
    _Server(int(sys.argv[1]), sys.argv[2]).run()
