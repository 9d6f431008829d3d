"""What SendGrid's stand-in answers to a mailing."""

from tests.standins.server import Answer, Asked, as_json

MESSAGE_ID = "JXAvVqqqTR-ybRgHQN3JwQ"


def accept(asked: Asked) -> Answer:
    """Accept a mailing, check one for the sandbox, refuse one that is for nobody."""
    if not asked.path.endswith("/mail/send"):
        return as_json({"result": []})
    mail = asked.json
    if not mail.get("personalizations"):
        return as_json({"errors": [{"message": "for nobody"}]}, status=400)
    if mail.get("subject") == "checked":
        return Answer(b"", 200, {"x-message-id": MESSAGE_ID})
    sandbox = mail.get("mail_settings", {}).get("sandbox_mode", {}).get("enable")
    return Answer(b"", 200 if sandbox else 202, {"x-message-id": MESSAGE_ID})
