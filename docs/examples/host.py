"""A sample host application: a booking service with tenants that answers SMS with AI.

    python docs/examples/standins.py 9000 &
    METERLINE_URL=http://127.0.0.1:8000 METERLINE_KEY=mtl_… flask --app docs/examples/host.py run
    curl -X POST -H 'X-Tenant: acme' http://127.0.0.1:5000/incoming-sms

All that has to do with metering is marked. Providers are the stand-ins on port 9000.
"""

import os
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from flask import Flask, request
from openai import OpenAI
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Category, Mail
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client as TwilioClient

from meterline import Meter
from meterline.flask_extension import MeterlineContext

PROVIDERS = os.environ.get("PROVIDERS_URL", "http://127.0.0.1:9000")


class LocalHttpClient(TwilioHttpClient):
    """Sends what is for Twilio to the stand-in."""

    def request(self, method: str, url: str, *arguments: Any, **options: Any) -> Any:
        """Send a request."""
        local, path = urlsplit(PROVIDERS), urlsplit(url).path
        address = urlunsplit((local.scheme, local.netloc, path, "", ""))
        return super().request(method, address, *arguments, **options)


# Metering: one meter, and a line for each client.
meter = Meter(
    url=os.environ["METERLINE_URL"],
    api_key=os.environ["METERLINE_KEY"],
    spool=os.environ.get("METERLINE_SPOOL", "meterline-spool"),
)
ai = meter.openai(OpenAI(base_url=f"{PROVIDERS}/v1", api_key="not needed here"))
sms = meter.twilio(TwilioClient("AC" + 32 * "0", "token", http_client=LocalHttpClient()))
mail = meter.sendgrid(SendGridAPIClient("key", host=PROVIDERS))

app = Flask(__name__)

# Metering: whose a request is. A real application takes it from who signed in.
MeterlineContext(lambda: request.headers.get("X-Tenant"), app)


@app.post("/incoming-sms")
def answer_sms() -> dict[str, str]:
    """Answer a text message of a customer, and confirm the booking by mail."""
    with meter.context(feature="ai_sms"):  # Metering: what it is used for.
        completion = ai.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "When can I come?"}]
        )
        reply = completion.choices[0].message.content or ""
        sms.messages.create(to="+15005550006", from_="+15005550001", body=reply)
    confirmation = Mail("shop@example.com", "guest@example.com", "Your booking", reply)
    confirmation.category = Category("booking_confirmation")
    mail.send(confirmation)
    return {"reply": reply}
