"""How browsers and proxies are met."""

from pydantic import BaseModel, Field


class WebSettings(BaseModel):
    """Cookies and proxies."""

    secure_cookies: bool = Field(
        default=True, description="Send cookies over https alone; off is for a plain test set-up."
    )
    trusted_proxies: int = Field(
        default=0, ge=0, le=10, description="How many proxies in front add X-Forwarded-For."
    )
