"""What makes a route a page."""

from flask import Blueprint, current_app, request


class PageBlueprint(Blueprint):
    """Views that a browser shows: errors are told in HTML, and who is not signed in is sent there.

    Everything else speaks to programs and answers problems, whatever the request says it accepts.
    """


def is_page() -> bool:
    """Whether the current request is for a page."""
    return isinstance(current_app.blueprints.get(request.blueprint or ""), PageBlueprint)
