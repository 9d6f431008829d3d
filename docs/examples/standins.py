"""Stand-ins for OpenAI, Twilio and SendGrid on one loopback port, for the sample application.

They answer what the providers answer to the three calls that the sample makes, and send nothing.
"""

import json
import secrets
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from wsgiref.simple_server import make_server

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer one of the three calls."""
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if path.endswith("/chat/completions"):
        return _answer(start_response, "200 OK", _complete(json.loads(body)))
    if path.endswith("/Messages.json"):
        return _answer(start_response, "201 Created", _send_sms(parse_qs(body.decode())))
    if path.endswith("/mail/send"):
        start_response("202 Accepted", [("X-Message-Id", f"mail-{secrets.token_hex(8)}")])
        return []
    return _answer(start_response, "404 Not Found", {"message": f"nothing stands in for {path}"})


def _complete(request: dict[str, object]) -> dict[str, object]:
    reply = {"role": "assistant", "content": "See you on Tuesday at ten."}
    return {
        "id": f"chatcmpl-{secrets.token_hex(15)}",
        "object": "chat.completion",
        "created": int(time.time()),  # noqa: TID251 - it stands in for a provider, whose clock is its own
        "model": request["model"],
        "choices": [{"index": 0, "message": reply, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150},
    }


def _send_sms(form: dict[str, list[str]]) -> dict[str, object]:
    return {
        "sid": f"SM{secrets.token_hex(16)}",
        "status": "queued",
        "direction": "outbound-api",
        "to": form["To"][0],
        "from": form["From"][0],
        "body": form["Body"][0],
        "num_segments": "1",
        "num_media": "0",
        "price": None,
        "price_unit": "USD",
    }


def _answer(
    start_response: "StartResponse", status: str, body: dict[str, object]
) -> Iterable[bytes]:
    text = json.dumps(body).encode()
    start_response(
        status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))]
    )
    return [text]


if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[1]), application).serve_forever()
