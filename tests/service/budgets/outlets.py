"""Settings of a worker that tells stand-ins on loopback."""

from tests.standins.server import StandIn


def outlets(receiver: StandIn, sendgrid: StandIn) -> dict[str, str]:
    """Return settings by name: where webhooks and mails go."""
    return {
        "METERLINE_NOTICE_WEBHOOK_URL": f"{receiver.url}/hooks",
        "METERLINE_NOTICE_WEBHOOK_SECRET": "a secret of the test",
        "METERLINE_SENDGRID_URL": sendgrid.url,
        "METERLINE_SENDGRID_API_KEY": "SG.key",
        "METERLINE_MAIL_FROM": "meter@host.example",
        "METERLINE_NOTICE_TIMEOUT_SECONDS": "5",
    }
