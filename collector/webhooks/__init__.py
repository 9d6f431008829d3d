"""What webhooks of Twilio and SendGrid say, as facts, and who it is said of.

Owns: reading of their payloads, claims, feature rules, the way of a notice to its tenant.
May import: ledger, and of the collector facts, attribution and intake.
Never touches: HTTP, signatures, prices.
"""
