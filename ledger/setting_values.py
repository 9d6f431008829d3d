"""What the text of a setting means, where a type alone does not say it."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from ledger.accounts.roles import Role, parse_role
from ledger.errors import InvalidError


def parse_web_address(text: str) -> str:
    """Check an address of a server, without a trailing slash, a query or a password in it.

    Raises:
        ValueError: with what is wrong.
    """
    try:
        parts = urlsplit(text)
        is_complete = parts.scheme in {"http", "https"} and bool(parts.hostname)
        is_bare = not (parts.query or parts.fragment or parts.username or parts.password)
        _ = parts.port
    except ValueError:
        is_complete = is_bare = False
    if not (is_complete and is_bare):
        raise ValueError("must be an address like http://127.0.0.1:8086, without more in it")
    return text.rstrip("/")


def is_trustworthy(place: str) -> bool:
    """Whether public keys can come from there unchanged: a file, https, or this machine."""
    if "://" not in place:
        return bool(place)
    try:
        parts = urlsplit(place)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_local(host)))


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def parse_roles(text: str) -> dict[str, Role]:
    """Read `theirs=ours,…`; the last equals sign of a pair separates, so that names may hold one.

    Raises:
        ValueError: with all that is wrong.
    """
    roles: dict[str, Role] = {}
    faults = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        theirs, separator, ours = (piece.strip() for piece in part.rpartition("="))
        if not separator or not theirs:
            faults.append("write each as theirs=ours")
        elif theirs in roles:
            faults.append("a role is mapped twice")
        else:
            try:
                roles[theirs] = parse_role(ours)
            except InvalidError as error:
                faults.append(error.message)
    if faults or not roles:
        raise ValueError("; ".join(dict.fromkeys(faults)) or "maps no role")
    return roles
