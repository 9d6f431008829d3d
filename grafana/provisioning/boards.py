"""Folder and boards of an organisation."""

from collections.abc import Mapping
from typing import Any

from grafana.provisioning.client import Client
from grafana.provisioning.errors import TakenError
from grafana.provisioning.matching import has_all
from grafana.provisioning.names import FOLDER_TITLE, FOLDER_UID

_ATTEMPTS = 3
_OWN = frozenset({"id", "version"})
"""What Grafana numbers itself."""


def ensure_folder(client: Client) -> list[str]:
    """Make the folder of the boards be there; return what was changed.

    Raises:
        UnavailableError: see `errors.telling`.
    """
    path, what = f"/folders/{FOLDER_UID}", "make the folder of the boards"
    found = client.find(path, what)
    if found is None:
        try:
            client.post("/folders", what, {"uid": FOLDER_UID, "title": FOLDER_TITLE})
        except TakenError:
            if client.find(path, what) is None:
                raise
        return ["made the folder"]
    if found["title"] == FOLDER_TITLE:
        return []
    client.put(path, what, {"title": FOLDER_TITLE, "overwrite": True})
    return ["renamed the folder"]


def ensure_board(client: Client, board: Mapping[str, Any]) -> list[str]:
    """Make a board be as wanted, in our folder; return what was changed.

    Raises:
        TakenError: others change it again and again.
        UnavailableError: see `errors.telling`.
    """
    wanted = {key: value for key, value in board.items() if key not in _OWN}
    title = wanted["title"]
    path, what = f"/dashboards/uid/{wanted['uid']}", f"update the board {title}"
    for attempt in range(1, _ATTEMPTS + 1):
        found = client.find(path, what)
        if found is not None and _is_current(found, wanted):
            return []
        version = {} if found is None else {"version": found["dashboard"]["version"]}
        body = {
            "dashboard": {**wanted, "id": None, **version},
            "folderUid": FOLDER_UID,
            # The version that was read goes with it, so that nothing is overwritten unseen.
            "overwrite": False,
            "message": "Provisioned by Meterline",
        }
        try:
            client.post("/dashboards/db", what, body)
        except TakenError:
            if attempt == _ATTEMPTS:
                raise
            continue
        return [f"{'made' if found is None else 'updated'} the board {title}"]
    raise AssertionError  # pragma: no cover - the last attempt returns or raises


def _is_current(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    in_folder: bool = found.get("meta", {}).get("folderUid") == FOLDER_UID
    return in_folder and has_all(found["dashboard"], wanted)
