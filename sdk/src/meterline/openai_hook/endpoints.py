"""Which requests are metered: the endpoints whose answers tell usage, by method and path."""

import re
from functools import lru_cache
from typing import NamedTuple


class Endpoint(NamedTuple):
    """What is known of the answers of an endpoint; compared by identity.

    Attributes:
        name: what it makes.
        all_output: the detail of usage that all output is, where an answer does not split it.
        names_model: whether an answer names the model; else the request does.
        written: the keys of an event under which written text comes.
        is_stored: whether it tells again what another request made.
        is_batch: whether the usage is that of a batch, which has prices of its own.
    """

    name: str
    all_output: str | None = None
    names_model: bool = True
    written: str = "delta"
    is_stored: bool = False
    is_batch: bool = False


CHAT = Endpoint("chat", written="content|arguments|refusal|reasoning_content|reasoning")
COMPLETIONS = Endpoint("completions", written="text")
RESPONSES = Endpoint("responses")
COMPACTION = Endpoint("compaction", names_model=False)
STORED_RESPONSE = Endpoint("stored response", is_stored=True)
EMBEDDINGS = Endpoint("embeddings")
TRANSCRIPTIONS = Endpoint("transcriptions", names_model=False)
SPEECH = Endpoint("speech", all_output="audio_tokens", names_model=False)
IMAGES = Endpoint("images", all_output="image_tokens", names_model=False)
DECISIONS = Endpoint("decisions")
BATCH = Endpoint("batch", is_stored=True, is_batch=True)

_POSTED = {
    b"/chat/completions": CHAT,
    b"/completions": COMPLETIONS,
    b"/responses": RESPONSES,
    b"/responses/compact": COMPACTION,
    b"/embeddings": EMBEDDINGS,
    b"/audio/transcriptions": TRANSCRIPTIONS,
    b"/audio/translations": TRANSCRIPTIONS,
    b"/audio/speech": SPEECH,
    b"/images/generations": IMAGES,
    b"/images/edits": IMAGES,
    b"/images/variations": IMAGES,
    b"/decisions": DECISIONS,
    b"/batches": BATCH,
}

_POSTED_PATH = re.compile(rb"(%s)/?(?:\?|$)" % b"|".join(_POSTED))
_STORED_PATH = re.compile(rb"/(responses|batches)/[^/?]+(/cancel)?/?(?:\?|$)")


@lru_cache(maxsize=512)
def find_endpoint(method: str, raw_path: bytes) -> Endpoint | None:
    """Return the endpoint of a request, or None where its answer tells no usage.

    Args:
        method: in capitals.
        raw_path: path and query as they go over the wire, for any host and prefix.
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
    return STORED_RESPONSE if stored[1] == b"responses" else BATCH
