"""What the text of a setting means, where a type alone does not say it."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationInfo

from ledger.accounts.roles import Role, parse_role
from ledger.errors import InvalidError
from ledger.event import is_slug

FEATURE_RULE_KINDS = ("number", "service", "template", "category")
"""What a feature can be told by: see `parse_feature_rules`."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_PHONE_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,6}")
_ACCOUNT = re.compile(r"AC[0-9a-f]{32}")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


def leave_out_empty(value: object) -> object:
    """Return None for an empty text: how a file of settings leaves one out."""
    return None if value == "" else value


def parse_bucket(text: str) -> str:
    """Check the name of a bucket of InfluxDB.

    Raises:
        ValueError: with what is wrong.
    """
    if _BUCKET.fullmatch(text) is None:
        raise ValueError("has 1 to 64 of A-Z a-z 0-9 _ . - and starts with a letter or digit")
    return text


def check_header_value(secret: SecretStr) -> SecretStr:
    """Check that a secret can be sent in a header.

    Raises:
        ValueError: with what is wrong; the secret is not repeated.
    """
    text = secret.get_secret_value()
    if not (text.isascii() and text.isprintable()):
        raise ValueError("has characters that no header of HTTP can hold")
    return secret


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


def parse_receiver(text: str) -> str:
    """Check an address that we post to: it may have a path and a query, and no password.

    Raises:
        ValueError: with what is wrong.
    """
    path, separator, query = text.partition("?")
    if "#" in text or not _PRINTABLE.fullmatch(text):
        raise ValueError("has characters that no address has, or a fragment")
    parse_web_address(path)
    return f"{path}{separator}{query}"


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


def need_algorithm(is_there: bool, info: ValidationInfo, algorithms: set[str]) -> None:  # noqa: FBT001 - one fact about the field, positional as in a sentence
    """Check that a setting of host tokens is there exactly where the algorithm is one of these.

    Raises:
        ValueError: with what is wrong.
    """
    if "jwt_algorithm" not in info.data:
        return  # it is wrong itself, and told so
    algorithm = info.data["jwt_algorithm"]
    if algorithm in algorithms and not is_there:
        raise ValueError(f"is needed where METERLINE_JWT_ALGORITHM is {algorithm}")
    if algorithm not in algorithms and is_there:
        wanted = " or ".join(sorted(algorithms))
        raise ValueError(f"has a meaning only where METERLINE_JWT_ALGORITHM is {wanted}")


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


def parse_owned(text: str) -> list[tuple[str | None, str]]:
    """Read `SECRET` or `OWNER=SECRET`, any number of them, separated by commas.

    Equals signs that only pad a secret, as base64 has them at its end, make no owner.

    Raises:
        ValueError: with what is wrong; no part is repeated.
    """
    owned: list[tuple[str | None, str]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        owner, separator, secret = part.partition("=")
        if not secret.strip("="):
            owner, separator, secret = "", "", part
        if _PRINTABLE.fullmatch(secret) is None or bool(separator) != bool(owner.strip()):
            raise ValueError("write each as SECRET or OWNER=SECRET, without blanks, with commas")
        owned.append((owner.strip() or None, secret))
    if not owned:
        raise ValueError("names none")
    return owned


def parse_owned_by_accounts(text: str) -> list[tuple[str | None, str]]:
    """Read `SECRET` or `ACCOUNT_SID=SECRET`, as `parse_owned` does.

    Raises:
        ValueError: with what is wrong; an owner that is no account would own no webhook.
    """
    owned = parse_owned(text)
    if any(owner is not None and _ACCOUNT.fullmatch(owner) is None for owner, _ in owned):
        raise ValueError("has an owner that is not an account: AC and 32 of 0-9 a-f")
    return owned


def parse_feature_rules(text: str) -> dict[str, str]:
    """Read `KIND:VALUE=FEATURE,…`, such as `number:+14155550100=ivr`; return features by the rest.

    Raises:
        ValueError: with all that is wrong, by the place of the rule; no number is repeated.
    """
    rules: dict[str, str] = {}
    faults = []
    parts = filter(None, (part.strip() for part in text.split(",")))
    for place, part in enumerate(parts, start=1):
        condition, _, feature = (piece.strip() for piece in part.rpartition("="))
        kind, _, value = (piece.strip() for piece in condition.partition(":"))
        fault = _fault_of_rule(kind, value, feature)
        key = f"{kind}:{value}"
        if fault is None and key in rules:
            fault = "comes a second time"
        if fault is not None:
            faults.append(f"rule {place} {fault}")
        rules[key] = feature
    if faults:
        raise ValueError("; ".join(faults))
    return rules


def _fault_of_rule(kind: str, value: str, feature: str) -> str | None:
    if kind not in FEATURE_RULE_KINDS or not value:
        return f"is not KIND:VALUE=FEATURE with a kind of {', '.join(FEATURE_RULE_KINDS)}"
    if kind == "number" and _PHONE_NUMBER.fullmatch(value) is None:
        return "has a number that is neither written like +14155550100 nor a short code"
    if not is_slug(feature):
        return "has a feature that is not a slug"
    return None
