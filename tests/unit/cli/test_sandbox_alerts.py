"""In development alerts go to the sandbox, and never to a real place that nobody named."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.contracts.prepared_project import settings_of

from dagster_project.cli.sandbox_alerts import sandbox_alerts

CHAT, MAIL = {"LOOP_ALERT_CHANNEL": "#ops-alerts"}, {"LOOP_ALERT_EMAIL": "operators@example.com"}


def test_alerts_go_to_the_sandbox_where_nothing_else_was_said(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert sandbox_alerts(settings_of(tmp_path)) == CHAT | MAIL
    assert sandbox_alerts(settings_of(tmp_path, alert_channel="#real")) == MAIL
    environment.setenv("LOOP_ALERT_EMAIL", "")
    assert sandbox_alerts(settings_of(tmp_path)) == CHAT


def test_a_real_destination_gets_no_alert_that_nobody_asked_for(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = {"slack": {"token": "xoxb-1"}}
    assert sandbox_alerts(settings_of(tmp_path, destinations=real)) == MAIL
