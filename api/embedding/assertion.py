"""The token that tells Grafana who looks: short-lived, and seen by nginx and Grafana alone."""

from datetime import datetime, timedelta

import jwt

from api.embedding.keys import ALGORITHM, SigningKey

HEADER = "X-JWT-Assertion"
ISSUER = "meterline"
AUDIENCE = "grafana"
LIFETIME = timedelta(minutes=1)


def sign_assertion(key: SigningKey, login: str, *, now: datetime) -> str:
    """Return a token that says that this user of Grafana looks.

    It names no role and no organisation: both are provisioned, and Grafana would put a user of
    whom a token says a role into its main organisation.
    """
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": login,
        "iat": now,
        "exp": now + LIFETIME,
    }
    return jwt.encode(claims, key.key, ALGORITHM, headers={"kid": key.kid})
