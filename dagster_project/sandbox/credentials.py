"""The credentials that the sandbox accepts, in one place, so that connectors, tests and docs cannot drift apart.

They open nothing but a service on the loopback address; they are no secrets.
"""

from __future__ import annotations

from typing import Final

HUBSPOT_TOKEN: Final = "pat-sandbox-00000000-0000-0000-0000-000000000000"
HUBSPOT_PORTAL_ID: Final = 8650001

TRYTON_DATABASE: Final = "erp"
TRYTON_USER: Final = "admin"
TRYTON_PASSWORD: Final = "sandbox-admin"

SLACK_BOT_TOKEN: Final = "xoxb-sandbox-000000000000"
SLACK_TEAM_ID: Final = "T0SANDBOX"
SLACK_BOT_USER_ID: Final = "U0LOOPBOT"
SLACK_BOT_ID: Final = "B0LOOPBOT"
SLACK_APP_ID: Final = "A0LOOPAPP"

SMTP_USER: Final = "mailer"
SMTP_PASSWORD: Final = "sandbox-mailer"

WEBHOOK_SECRET: Final = "whsec_c2FuZGJveC13ZWJob29rLXNpZ25pbmcta2V5LTAwMQ=="
