"""How messages are put to a person at a terminal."""


def describe(message: str | None, value: str | None) -> str:
    """Return a message with the offending value, unless it is empty or already said."""
    text = message or ""
    return f"{text} (it is {value})" if value and value not in text else text
