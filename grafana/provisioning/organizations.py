"""The organisation of a tenant, and the one viewer in it."""

import secrets
from contextlib import suppress
from typing import Any, NamedTuple

from grafana.provisioning.client import Client, quoted
from grafana.provisioning.errors import TakenError
from grafana.provisioning.names import (
    MAIN_ORG,
    email_of,
    is_org_of,
    login_of,
    org_name_of,
)
from ledger.errors import UnavailableError
from ledger.tenant import Tenant, TenantId

VIEWER = "Viewer"
ADMIN = "Admin"

_PASSWORD_BYTES = 32


class Viewer(NamedTuple):
    """Who looks at boards: one user for all people of a tenant, or for all operators."""

    login: str
    name: str


def ensure_org(
    client: Client, tenant: Tenant, *, known: int | None, admin: str
) -> tuple[int, list[str]]:
    """Return the tenant's organisation, made where there is none, and what was changed.

    Args:
        client: in the main organisation.
        tenant: whose it is.
        known: which one it was before; its name decides, not this number.
        admin: the login that provisions; it has to be an admin of the organisation.

    Raises:
        UnavailableError: see `errors.telling`.
    """
    wanted = org_name_of(tenant)
    found = find_org(client, tenant.tenant_id, known=known) or _find_by_name(client, wanted)
    if found is None:
        return _make_org(client, wanted), ["made the organisation"]
    changes = []
    if found["name"] != wanted:
        client.put(f"/orgs/{found['id']}", f"rename the organisation {wanted}", {"name": wanted})
        changes.append("renamed the organisation")
    return found["id"], changes + _ensure_admin(client, found["id"], admin)


def find_org(client: Client, tenant_id: TenantId, *, known: int | None) -> dict[str, Any] | None:
    """Return the tenant's organisation by its number, else by whose viewer is in it; or None.

    Another one that has got the number meanwhile, as in a Grafana that was set up anew, is not it.
    """
    what = f"look for the organisation of {tenant_id}"
    if known is not None:
        found: dict[str, Any] | None = client.find(f"/orgs/{known}", what)
        if found is not None and is_org_of(tenant_id, found["name"]):
            return found
    user = find_user(client, login_of(tenant_id))
    for org in [] if user is None else client.get(f"/users/{user['id']}/orgs", what):
        if is_org_of(tenant_id, org["name"]):
            return {"id": org["orgId"], "name": org["name"]}
    return None


def find_user(client: Client, login: str) -> dict[str, Any] | None:
    """Return the user with this login, or None."""
    path = f"/users/lookup?loginOrEmail={quoted(login)}"
    found: dict[str, Any] | None = client.find(path, f"look for the user {login}")
    return found


def ensure_viewer(client: Client, viewer: Viewer, org_id: int) -> list[str]:
    """Make a viewer be there, in this organisation and in no other; return what was changed.

    Where it were in a second one, addresses could lead its people there.

    Raises:
        UnavailableError: see `errors.telling`.
    """
    changes = []
    user = find_user(client, viewer.login)
    if user is None:
        user = _make_user(client, viewer, org_id)
        changes.append("made the viewer")
    wanted = {"login": viewer.login, "name": viewer.name, "email": email_of(viewer.login)}
    path, what = f"/users/{user['id']}", f"change the user {viewer.login}"
    if any(user.get(key) != value for key, value in wanted.items()):
        client.put(path, what, wanted)
        changes.append("renamed the viewer")
    if user.get("isGrafanaAdmin"):
        client.put(f"/admin{path}/permissions", what, {"isGrafanaAdmin": False})
        changes.append("took the viewer's rights over the server")
    changes += _ensure_membership(client, user["id"], org_id, what)
    if client.get(path, what)["orgId"] != org_id:
        client.post(f"{path}/using/{org_id}", what)
        changes.append("put the viewer into its organisation")
    return changes


def _ensure_membership(client: Client, user_id: int, org_id: int, what: str) -> list[str]:
    roles = {org["orgId"]: org["role"] for org in client.get(f"/users/{user_id}/orgs", what)}
    changes = []
    if org_id not in roles:
        login = client.get(f"/users/{user_id}", what)["login"]
        client.post(f"/orgs/{org_id}/users", what, {"loginOrEmail": login, "role": VIEWER})
        changes.append("added the viewer to its organisation")
    elif roles[org_id] != VIEWER:
        client.patch(f"/orgs/{org_id}/users/{user_id}", what, {"role": VIEWER})
        changes.append("made the viewer a viewer")
    for other in sorted(roles.keys() - {org_id}):
        client.delete(f"/orgs/{other}/users/{user_id}", what)
        changes.append("took the viewer out of another organisation")
    return changes


def remove_org(client: Client, tenant_id: TenantId, *, known: int | None) -> list[str]:
    """Take a tenant's organisation and viewer away, with all that is in it; return what was there.

    Raises:
        UnavailableError: see `errors.telling`.
    """
    removed = []
    org, user = find_org(client, tenant_id, known=known), find_user(client, login_of(tenant_id))
    if org is not None:
        if org["id"] == MAIN_ORG:
            raise UnavailableError(
                "grafana_refused", "the main organisation of Grafana is never taken away"
            )
        client.delete(f"/orgs/{org['id']}", f"remove the organisation {org['name']}")
        removed.append("removed the organisation")
    if user is not None:
        client.delete(f"/admin/users/{user['id']}", f"remove the user {user['login']}")
        removed.append("removed the viewer")
    return removed


def _find_by_name(client: Client, name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = client.find(
        f"/orgs/name/{quoted(name)}", f"look for the organisation {name}"
    )
    return found


def _make_org(client: Client, name: str) -> int:
    try:
        # Whoever makes an organisation is its admin.
        made: int = client.post("/orgs", f"make the organisation {name}", {"name": name})["orgId"]
    except TakenError:
        found = _find_by_name(client, name)
        if found is None:
            raise
        return int(found["id"])
    return made


def _ensure_admin(client: Client, org_id: int, admin: str) -> list[str]:
    what = f"add {admin} to organisation {org_id}"
    members = client.get(f"/orgs/{org_id}/users", what)
    role = {str(one["login"]): one for one in members}.get(admin)
    if role is None:
        client.post(f"/orgs/{org_id}/users", what, {"loginOrEmail": admin, "role": ADMIN})
    elif role["role"] != ADMIN:
        client.patch(f"/orgs/{org_id}/users/{role['userId']}", what, {"role": ADMIN})
    else:
        return []
    return ["became admin of the organisation"]


def _make_user(client: Client, viewer: Viewer, org_id: int) -> dict[str, Any]:
    body = {
        "login": viewer.login,
        "name": viewer.name,
        "email": email_of(viewer.login),
        # Nobody knows it: people come with a signed token alone.
        "password": secrets.token_urlsafe(_PASSWORD_BYTES),
        "OrgId": org_id,
    }
    with suppress(TakenError):  # another process was faster
        client.post("/admin/users", f"make the user {viewer.login}", body)
    made = find_user(client, viewer.login)
    if made is None:
        raise UnavailableError(
            "grafana_unavailable", f"Grafana did not make the user {viewer.login}"
        )
    return made
