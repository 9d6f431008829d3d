"""What a process remembers of the OpenAI answers that it asked for, and how a new one begins."""

from meterline.openai_hook import background


def forget_all() -> None:
    """Forget what was asked for and booked; no estimate is handed over."""
    awaited = background._awaited  # noqa: SLF001 - no process ever forgets all of it but by its end
    for each in awaited.values():
        each.disown()
    awaited.clear()
