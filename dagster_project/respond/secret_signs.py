"""Knows a secret that stands in YAML by its key or by its form, so that it is refused before it is committed."""

from __future__ import annotations

import re

# Words that look like a secret's key; a secret belongs into the environment, never into YAML.
_KEY_WORDS = ("token", "password", "secret", "api_key", "apikey", "authorization", "bearer")
_FORMS = re.compile(
    r"xox[abeprs]-[\w-]{8,}"  # Slack
    r"|pat-(?:na|eu)\d-[\w-]{8,}"  # HubSpot
    r"|whsec_[\w+/=]{8,}"  # Standard Webhooks
    r"|AKIA[0-9A-Z]{16}"  # AWS
    r"|sk_live_\w{8,}"  # Stripe
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b[Bb]earer [\w.~+/-]{16,}"
    r"|\w+://[^\s:/@]+:[^\s:/@]+@"  # a password inside an address
)

SECRET_MESSAGE = "looks like a secret"
SECRET_REMEDY = "put it into the environment (docs/settings.md) and take it out of the file's history, or renew it"


def is_secret_key(key: str) -> bool:
    return any(word in key.lower() for word in _KEY_WORDS)


def is_secret_text(text: str) -> bool:
    return _FORMS.search(text) is not None
