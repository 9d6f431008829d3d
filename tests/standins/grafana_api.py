"""A stand-in of Grafana's HTTP API: the part that provisioning uses, as documentation has it.

Organisations, users, memberships, data sources, folders and dashboards are kept in memory, with
their conflicts (409, 412). It remembers writes, and answers what a test wants for a while. Whoever
comes without a password, as browsers do, is shown a picture of a panel.
"""

import base64
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from tests.standins.server import Answer, Asked, StandIn, as_json

ADMIN = "admin"
PASSWORD = "a password for Grafana ü"
MAIN_ORG = 1

Found = dict[str, Any]


class Fault(NamedTuple):
    """What is answered instead.

    Attributes:
        is_done: whether the call takes effect all the same, and only the answer is another.
    """

    method: str
    path: re.Pattern[str]
    answer: Answer
    is_done: bool = False


def told(message: str, status: int = 200, **more: Any) -> Answer:
    return as_json({"message": message, **more}, status=status)


NOT_FOUND = told("not found", 404)

_PANEL = """<!doctype html><html lang="en"><title>{title}</title><style>
body {{ margin: 0; padding: 12px; font: 14px sans-serif; background: {ground}; color: {ink}; }}
</style><body><strong>Panel {panel}</strong><p id="zone">{zone}</p></body></html>"""


def draw_panel(path: str) -> Answer:
    """Return what stands in for a panel, light or dark as its address says."""
    parts = urlsplit(path)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    is_dark = query.get("theme") == "dark"
    page = _PANEL.format(
        title=parts.path,
        ground="#181b1f" if is_dark else "#ffffff",
        ink="#d8d9da" if is_dark else "#24292e",
        panel=query.get("panelId", "?"),
        zone=query.get("timezone", "?"),
    )
    headers = {
        "content-type": "text/html",
        "set-cookie": "grafana_session=1",
        "x-frame-options": "deny",
    }
    return Answer(page.encode(), headers=headers)


class GrafanaStandIn:
    """A running stand-in at `url`, with the sub-path that it serves from."""

    def __init__(self, prefix: str = "/grafana", *, password: str = PASSWORD) -> None:
        self._prefix = prefix
        self._password = password
        self._lock = Lock()
        self._numbers = itertools.count(2)
        self.orgs: dict[int, str] = {MAIN_ORG: "Main Org."}
        self.users: dict[int, Found] = {
            1: {
                "id": 1,
                "login": ADMIN,
                "email": "",
                "name": "",
                "orgId": 1,
                "isGrafanaAdmin": True,
            }
        }
        self.roles: dict[tuple[int, int], str] = {(MAIN_ORG, 1): "Admin"}
        self.sources: dict[tuple[int, str], Found] = {}
        self.folders: dict[tuple[int, str], Found] = {}
        self.boards: dict[tuple[int, str], Found] = {}
        self.writes: list[tuple[str, str]] = []
        self.looked: list[Asked] = []
        self.before: Callable[[Asked], object] = lambda _asked: None
        self.before_look: Callable[[Asked], object] = lambda _asked: None
        self._faults: list[Fault] = []
        self._server = StandIn(self._answer)
        self.url = self._server.url + prefix

    def close(self) -> None:
        self._server.close()

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        self._faults.append(fault)
        yield
        self._faults.remove(fault)

    def user(self, login: str) -> Found:
        return next(user for user in self.users.values() if user["login"] == login)

    def org_of(self, login: str) -> int:
        """Return the one organisation of a user."""
        (org,) = [org for org, user in self.roles if user == self.user(login)["id"]]
        return org

    def _answer(self, asked: Asked) -> Answer:
        if "authorization" not in asked.headers:
            self.looked.append(asked)
            self.before_look(asked)
            return draw_panel(asked.path)
        if not asked.path.startswith(f"{self._prefix}/api/"):
            return NOT_FOUND
        parts = urlsplit(asked.path.removeprefix(f"{self._prefix}/api"))
        self.before(asked)
        fault = next(
            (f for f in self._faults if f.method == asked.method and f.path.search(parts.path)),
            None,
        )
        if fault is not None and not fault.is_done:
            return fault.answer
        if parts.path == "/health":
            answer = as_json({"database": "ok", "version": "12.0.0"})
        else:
            with self._lock:
                answer = self._authorized(asked, parts.path, parts.query)
        return answer if fault is None else fault.answer

    def _authorized(self, asked: Asked, path: str, query: str) -> Answer:
        wanted = base64.b64encode(f"{ADMIN}:{self._password}".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {wanted}":
            return told("Invalid username or password", 401)
        org = int(asked.headers.get("x-grafana-org-id", MAIN_ORG))
        if self.roles.get((org, 1)) != "Admin":
            return told("You'll need additional permissions to perform this action", 403)
        steps = [unquote(step) for step in path.strip("/").split("/")]
        answer = self._route(asked, steps, query, org)
        if asked.method != "GET" and answer.status < 300:
            self.writes.append((asked.method, path))
        return answer

    def _route(self, asked: Asked, steps: list[str], query: str, org: int) -> Answer:
        routes = {
            "orgs": self._orgs,
            "users": self._users,
            "admin": self._admin,
            "datasources": self._sources,
            "folders": self._folders,
            "dashboards": self._boards,
        }
        if steps == ["users", "lookup"]:
            wanted = parse_qs(query)["loginOrEmail"][0].lower()
            found = [user for user in self.users.values() if wanted in _names(user)]
            return as_json(found[0]) if found else NOT_FOUND
        route = routes.get(steps[0])
        return NOT_FOUND if route is None else route(asked.method, steps[1:], asked.json, org)

    def _admin(self, method: str, steps: list[str], body: Any, _org: int) -> Answer:
        match method, steps:
            case "POST", ["users"]:
                return self._make_user(body)
            case "PUT", ["users", number, "permissions"]:
                self.users[int(number)]["isGrafanaAdmin"] = body["isGrafanaAdmin"]
                return told("User permissions updated")
            case "DELETE", ["users", number]:
                return self._delete_user(int(number))
            case _:
                return NOT_FOUND

    def _boards(self, method: str, steps: list[str], body: Any, org: int) -> Answer:
        match method, steps:
            case "GET", ["uid", uid]:
                found = self.boards.get((org, uid))
                return NOT_FOUND if found is None else as_json(found)
            case "POST", ["db"]:
                return self._save_board(body, org)
            case _:
                return NOT_FOUND

    def _orgs(self, method: str, steps: list[str], body: Any, current: int) -> Answer:
        match method, steps:
            case "POST", []:
                if body["name"] in self.orgs.values():
                    return told("Organization name taken", 409)
                number = next(self._numbers)
                self.orgs[number] = body["name"]
                self.roles[number, 1] = "Admin"
                return told("Organization created", orgId=number)
            case "GET", ["name", name]:
                found = [number for number, known in self.orgs.items() if known == name]
                return as_json({"id": found[0], "name": name}) if found else NOT_FOUND
            case "GET", []:
                return as_json([{"id": key, "name": name} for key, name in self.orgs.items()])
            case _:
                return self._org(method, int(steps[0]), steps[1:], body, current)

    def _org(self, method: str, number: int, steps: list[str], body: Any, current: int) -> Answer:
        if number not in self.orgs:
            return told("Organization not found", 404)
        match method, steps:
            case "GET", []:
                return as_json({"id": number, "name": self.orgs[number], "address": {}})
            case "PUT", []:
                self.orgs[number] = body["name"]
                return told("Organization updated")
            case "DELETE", []:
                return self._delete_org(number, current)
            case _, ["users", *rest]:
                return self._members(method, number, rest, body)
            case _:
                return NOT_FOUND

    def _delete_org(self, number: int, current: int) -> Answer:
        if number == current:
            return told("Can not delete org for current user", 400)
        del self.orgs[number]
        self.roles = {key: role for key, role in self.roles.items() if key[0] != number}
        for kept in (self.sources, self.folders, self.boards):
            for key in [key for key in kept if key[0] == number]:
                del kept[key]
        return told("Organization deleted")

    def _members(self, method: str, org: int, steps: list[str], body: Any) -> Answer:
        match method, steps:
            case "GET", []:
                return as_json(
                    [
                        {
                            "orgId": org,
                            "userId": user,
                            "login": self.users[user]["login"],
                            "role": role,
                        }
                        for (of, user), role in self.roles.items()
                        if of == org
                    ]
                )
            case "POST", []:
                user = self.user(body["loginOrEmail"])["id"]
                if (org, user) in self.roles:
                    return told("User is already member of this organization", 409)
                self.roles[org, user] = body["role"]
                return told("User added to organization", userId=user)
            case "PATCH", [user]:
                self.roles[org, int(user)] = body["role"]
                return told("Organization user updated")
            case "DELETE", [user]:
                del self.roles[org, int(user)]
                return told("User removed from organization")
            case _:
                return NOT_FOUND

    def _users(  # noqa: PLR0911 - one return a route
        self, method: str, steps: list[str], body: Any, _org: int
    ) -> Answer:
        number = int(steps[0])
        if number not in self.users:
            return told("user not found", 404)
        match method, steps[1:]:
            case "GET", []:
                return as_json(self.users[number])
            case "PUT", []:
                self.users[number].update(body)
                return told("User updated")
            case "GET", ["orgs"]:
                return as_json(
                    [
                        {"orgId": org, "name": self.orgs[org], "role": role}
                        for (org, user), role in self.roles.items()
                        if user == number
                    ]
                )
            case "POST", ["using", org]:
                if (int(org), number) not in self.roles:
                    return told("Not a valid organization", 401)
                self.users[number]["orgId"] = int(org)
                return told("Active organization changed")
            case _:
                return NOT_FOUND

    def _make_user(self, body: Any) -> Answer:
        if any(_names(user) & _names(body) for user in self.users.values()):
            return told("User with email or username already exists", 412)
        number, org = next(self._numbers), body.get("OrgId", MAIN_ORG)
        known = {key: body[key] for key in ("login", "name", "email")}
        self.users[number] = {"id": number, "orgId": org, "isGrafanaAdmin": False, **known}
        self.roles[org, number] = "Viewer"
        return told("User created", id=number)

    def _delete_user(self, number: int) -> Answer:
        if self.users.pop(number, None) is None:
            return told("user not found", 404)
        self.roles = {key: role for key, role in self.roles.items() if key[1] != number}
        return told("User deleted")

    def _sources(self, method: str, steps: list[str], body: Any, org: int) -> Answer:
        if method == "GET":
            found = self.sources.get((org, steps[1]))
            if found is None:
                return told("Data source not found", 404)
            return as_json({key: value for key, value in found.items() if key != "secrets"})
        uid = body["uid"]
        there = self.sources.get((org, uid))
        if method == "POST" and there is not None:
            return told("data source with the same name already exists", 409)
        if method == "PUT" and there is not None and body.get("version") != there["version"]:
            return told("Datasource has already been updated by someone else", 409)
        given = {key: value for key, value in body.items() if key != "secureJsonData"}
        secrets = {**({} if there is None else there["secrets"]), **body.get("secureJsonData", {})}
        self.sources[org, uid] = {
            **given,
            "orgId": org,
            "readOnly": False,
            "version": 1 if there is None else there["version"] + 1,
            "secureJsonFields": dict.fromkeys(secrets, True),
            "secrets": secrets,
        }
        return told("Datasource updated")

    def _folders(self, method: str, steps: list[str], body: Any, org: int) -> Answer:
        if method == "GET":
            found = self.folders.get((org, steps[0]))
            return told("folder not found", 404) if found is None else as_json(found)
        uid = body["uid"] if method == "POST" else steps[0]
        if method == "POST" and (org, uid) in self.folders:
            return told("a folder with that uid already exists", 409)
        self.folders[org, uid] = {"uid": uid, "title": body["title"], "version": 1}
        return as_json(self.folders[org, uid])

    def _save_board(self, body: Any, org: int) -> Answer:
        wanted, folder = body["dashboard"], body.get("folderUid", "")
        if (org, folder) not in self.folders:
            return told("folder not found", 404)
        there = self.boards.get((org, wanted["uid"]))
        version = 0 if there is None else there["dashboard"]["version"]
        if there is not None and not body["overwrite"] and wanted.get("version") != version:
            return told("The dashboard has been changed by someone else", 412)
        number = next(self._numbers) if there is None else there["dashboard"]["id"]
        kept = {**wanted, "id": number, "version": version + 1}
        self.boards[org, wanted["uid"]] = {"dashboard": kept, "meta": {"folderUid": folder}}
        return as_json({"uid": wanted["uid"], "status": "success", "version": version + 1})


def _names(user: Found) -> set[str]:
    """Return what a user is found by: Grafana makes no difference between capitals and others."""
    return {user[key].lower() for key in ("login", "email") if user.get(key)}
