"""What usage was for, by the rules of the settings. Pure functions."""

from collections.abc import Iterable, Mapping

from ledger.event import is_slug

FeatureRules = Mapping[str, str]
"""Features by `KIND:VALUE`, such as `service:MG…`; see `ledger.setting_values`."""


def as_feature(value: object) -> str | None:
    """Return a feature that a host named, None where it can be none.

    One that starts with a digit may be a phone number; the SDK leaves it out, too.
    """
    if isinstance(value, str) and is_slug(value) and value[0].isalpha():
        return value
    return None


def feature_by_rules(rules: FeatureRules, traits: Iterable[tuple[str, str | None]]) -> str | None:
    """Return the feature of the first trait, a kind and a value, that has a rule."""
    for kind, value in traits:
        feature = rules.get(f"{kind}:{value}")
        if feature is not None:
            return feature
    return None
