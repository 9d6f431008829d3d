"""Dead letters: events that the collector refused, each a line of JSON with the reason. Pure."""

import json

from meterline.delivery.answers import Verdict


def write_letter(line: bytes, verdict: Verdict) -> bytes:
    """Return the line that keeps a refused event; the event stays as it was sent."""
    reason = json.dumps(
        {"status": verdict.status, "code": verdict.code, "message": verdict.message}
    )
    return b'{"event":' + line + b',"reason":' + reason.encode() + b"}"


def read_letter(letter: bytes) -> bytes | None:
    """Return the event of a dead letter as it was sent, or None where it cannot be read."""
    head, middle = b'{"event":', b',"reason":'
    end = letter.rfind(middle)
    if not letter.startswith(head) or end < 0:
        return None
    event = letter[len(head) : end]
    try:
        is_whole = isinstance(json.loads(event), dict) and isinstance(json.loads(letter), dict)
    except (ValueError, RecursionError):
        return None
    return event if is_whole else None
