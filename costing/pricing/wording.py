"""How price entries are told to people."""

from costing.pricing.card import Amount
from costing.pricing.entries import AliasEntry, Entry, MarkupEntry, RateEntry


def describe_amount(amount: Amount) -> str:
    """Return an amount as it was written, such as `2.5 USD per 1000000`."""
    return f"{amount.usd} USD" if amount.per == 1 else f"{amount.usd} USD per {amount.per}"


def describe_price(entry: Entry) -> str:
    """Return what an entry says of its place."""
    match entry:
        case RateEntry(amount=amount):
            return "withdrawn" if amount is None else describe_amount(amount)
        case MarkupEntry(percent=percent):
            return f"{percent} %"
        case AliasEntry(prices_as=prices_as):
            return f"priced as {prices_as}"
