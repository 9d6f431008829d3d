"""The Flask application factory."""

from flask import Response, jsonify
from flask_openapi.models.info import Info
from flask_openapi.openapi import OpenAPI

from api import events, health
from api.auth import BEARER_SCHEME
from api.errors import Problem, register_error_handlers
from api.services import Services

API_VERSION = "1"


def create_app(services: Services) -> OpenAPI:
    """Build the application around running services."""
    app = OpenAPI(
        __name__,
        info=Info(title="Meterline", version=API_VERSION),
        security_schemes=BEARER_SCHEME,
        validation_error_status="400",
        validation_error_model=Problem,
        doc_ui=False,
        static_folder=None,
    )
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body_bytes
    services.attach(app)
    register_error_handlers(app)
    app.register_api(events.blueprint)
    app.register_api(health.blueprint)

    @app.route("/api/openapi.json")
    def openapi() -> Response:
        return jsonify(app.api_doc)

    return app
