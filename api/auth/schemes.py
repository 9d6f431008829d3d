"""The credentials, as the OpenAPI description names them."""

from typing import Any

from flask_openapi.models.security_scheme import SecurityScheme

API_KEY: dict[str, list[str]] = {"api_key": []}
SIGN_IN: dict[str, list[str]] = {"sign_in": []}
HOST_TOKEN: dict[str, list[str]] = {"host_token": []}

SECURITY_SCHEMES: dict[str, SecurityScheme | dict[str, Any]] = {
    "api_key": {"type": "http", "scheme": "bearer"},
    "host_token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "sign_in": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-meterline_session",
        "description": "A browser's session; changes need the header X-CSRF-Token as well",
    },
}
