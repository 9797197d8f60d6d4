"""Sends alerts to the sandbox's chat and mail in development, unless somebody has said where they go."""

from __future__ import annotations

import os
from collections.abc import Mapping

from dagster_project.respond.bindings import bind_roles
from dagster_project.settings import Settings
from dagster_project.verify.alerting import CHAT, MAIL

# role -> the setting that says where its alerts go, and where the sandbox shows them
PLACES: Mapping[str, tuple[str, str]] = {
    CHAT: ("LOOP_ALERT_CHANNEL", "#ops-alerts"),
    MAIL: ("LOOP_ALERT_EMAIL", "operators@example.com"),
}


def sandbox_alerts(settings: Settings) -> dict[str, str]:
    """The settings that are missing for it, as environment variables.

    Nothing for a role that is bound to a real destination, and nothing where a setting is given, an empty one included.
    """
    given = {"LOOP_ALERT_CHANNEL": settings.alert_channel, "LOOP_ALERT_EMAIL": settings.alert_email}
    bindings = bind_roles(settings)
    return {
        name: place
        for role, (name, place) in PLACES.items()
        if role in bindings and bindings[role].is_sandbox and not given[name] and name not in os.environ
    }
