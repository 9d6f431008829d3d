"""Webhooks of Twilio and SendGrid over HTTP: their signatures, and the routes that they come to."""
