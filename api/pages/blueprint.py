"""What makes a route a page."""

from flask import Blueprint, current_app, request


class PageBlueprint(Blueprint):
    """Views that a browser shows: errors are told in HTML, and who is not signed in is sent there.

    Everything else speaks to programs and answers problems, whatever the request says it accepts.
    """


_OF_PROGRAMS = ("/api/", "/webhooks/", "/grafana/", "/healthz", "/readyz")
"""How addresses begin that programs ask; whoever else asks for what is not there is a person."""


def is_page() -> bool:
    """Whether the current request is for a page, or by a person who missed one."""
    if request.endpoint is None:
        return not request.path.startswith(_OF_PROGRAMS)
    return isinstance(current_app.blueprints.get(request.blueprint or ""), PageBlueprint)
