"""The Flask application factory."""

from flask import Flask, Response, jsonify
from flask_openapi.models.info import Info
from flask_openapi.openapi import OpenAPI
from werkzeug.middleware.proxy_fix import ProxyFix

from api import admin, billing, budgets, events, health, mappings, prices, session_links, tenants
from api.auth.middleware import auth_middleware
from api.auth.policy import public, require_policies
from api.auth.schemes import SECURITY_SCHEMES
from api.embedding import views as embedding
from api.errors import Problem, register_error_handlers
from api.gateway import routes as gateway
from api.gateway.audit import prepare_audit, start_audit, write_audit
from api.headers import add_security_headers
from api.measuring import measure_requests
from api.pages import assets, grid, signin, usage
from api.pages import budgets as budget_forms
from api.pages import mappings as mappings_page
from api.pages.environment import prepare_templates
from api.services import Services
from api.webhooks import routes as webhooks

API_VERSION = "1"

_DESCRIBED = (
    events,
    health,
    billing,
    budgets,
    admin,
    prices,
    session_links,
    tenants,
    mappings,
    webhooks,
    gateway,
)
"""Modules whose routes the OpenAPI description has."""


def create_app(services: Services) -> OpenAPI:
    """Build the application around running services.

    Raises:
        InvalidError: `invalid_settings`, keys that can verify no token of the host or no webhook.
        LookupError: a view without a policy.
    """
    app = OpenAPI(
        __name__,
        info=Info(title="Meterline", version=API_VERSION),
        security_schemes=SECURITY_SCHEMES,
        validation_error_status="400",
        validation_error_model=Problem,
        doc_ui=False,
        static_folder=None,
    )
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body_bytes
    services.attach(app)
    # Settings that cannot work are told now, not by a request.
    services.host_tokens  # noqa: B018 - built when it is first looked at
    services.signatures  # noqa: B018 - as above
    services.gateway  # noqa: B018 - as above
    _trust_proxies(app, services.settings.trusted_proxies)
    prepare_audit()
    app.before_request(start_audit)
    measure_requests(app)
    app.before_request(auth_middleware)
    app.after_request(write_audit)
    app.after_request(add_security_headers)
    register_error_handlers(app)
    for described in _DESCRIBED:
        app.register_api(described.blueprint)
    prepare_templates(app)
    for page in (assets, embedding, signin, usage, budget_forms, grid, mappings_page):
        app.register_blueprint(page.blueprint)

    @app.route("/api/openapi.json")
    @public
    def openapi() -> Response:
        return jsonify(app.api_doc)

    require_policies(app)
    return app


def _trust_proxies(app: Flask, count: int) -> None:
    """Take the client's address and scheme from what the last `count` proxies added."""
    if count:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=0)  # type: ignore[method-assign] # Flask's documented way to put middleware around an application
