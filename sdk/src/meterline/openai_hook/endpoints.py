"""Which requests are metered: the endpoints whose answers tell usage, by method and path."""

import re
from enum import Enum, auto


class Endpoint(Enum):
    """What kind of answer comes back. Named after the path, for any host and prefix."""

    CHAT = auto()
    COMPLETIONS = auto()
    RESPONSES = auto()
    COMPACTION = auto()
    STORED_RESPONSE = auto()
    EMBEDDINGS = auto()
    TRANSCRIPTIONS = auto()
    SPEECH = auto()
    IMAGES = auto()
    DECISIONS = auto()
    BATCH = auto()


_POSTED = {
    b"/chat/completions": Endpoint.CHAT,
    b"/completions": Endpoint.COMPLETIONS,
    b"/responses": Endpoint.RESPONSES,
    b"/responses/compact": Endpoint.COMPACTION,
    b"/embeddings": Endpoint.EMBEDDINGS,
    b"/audio/transcriptions": Endpoint.TRANSCRIPTIONS,
    b"/audio/translations": Endpoint.TRANSCRIPTIONS,
    b"/audio/speech": Endpoint.SPEECH,
    b"/images/generations": Endpoint.IMAGES,
    b"/images/edits": Endpoint.IMAGES,
    b"/images/variations": Endpoint.IMAGES,
    b"/decisions": Endpoint.DECISIONS,
    b"/batches": Endpoint.BATCH,
}

_POSTED_PATH = re.compile(rb"(%s)/?(?:\?|$)" % b"|".join(_POSTED))
_STORED_PATH = re.compile(rb"/(responses|batches)/[^/?]+(/cancel)?/?(?:\?|$)")


def find_endpoint(method: str, raw_path: bytes) -> Endpoint | None:
    """Return the endpoint of a request, or None where its answer tells no usage.

    Args:
        method: in capitals.
        raw_path: path and query as they go over the wire.
    """
    if method == "POST":
        # A search takes the first place that matches, so "/chat/completions" before its ending.
        posted = _POSTED_PATH.search(raw_path)
        if posted is not None:
            return _POSTED[posted[1]]
    elif method != "GET":
        return None
    stored = _STORED_PATH.search(raw_path)
    if stored is None or (method == "POST") != (stored[2] is not None):
        return None
    return Endpoint.STORED_RESPONSE if stored[1] == b"responses" else Endpoint.BATCH
