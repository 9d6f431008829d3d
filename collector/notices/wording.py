"""A notice in words, made of its document alone. Pure functions."""

from collections.abc import Mapping
from typing import Any

_PERIODS = {"monthly": "this month's", "daily": "today's"}


def subject_of(said: Mapping[str, Any]) -> str:
    """Return the subject of a mail, in one line."""
    return f"{said['tenant_name']}: {said['threshold']}% of {_name(said)} is spent"


def body_of(said: Mapping[str, Any]) -> str:
    """Return the text of a mail."""
    lines = [
        f"{said['tenant_name']} has reached {said['threshold']}% of {_name(said)}.",
        "",
        f"Budget: {said['amount']} {said['currency']}",
        f"Spent so far: {said['spent']} {said['currency']} (estimated)",
        f"Period: {_dates(said)}, days in {said['timezone']}",
    ]
    if said["has_unpriced"]:
        count = said["unpriced_count"]
        lines.append(
            f"Not in it: {count or 'some'} usages that have no price yet, so that more was spent."
        )
    lines += ["", "This is said once for each threshold and period.", f"Notice {said['id']}"]
    return "\n".join(lines)


def _name(said: Mapping[str, Any]) -> str:
    feature = said["feature"]
    scope = "" if feature is None else f" for {feature}"
    return f"{_PERIODS[said['period']]} budget{scope}"


def _dates(said: Mapping[str, Any]) -> str:
    first, last = said["from"], said["to"]
    return first if first == last else f"{first} to {last}"
