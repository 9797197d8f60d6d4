"""Log lines tell which event, action and run they are about, and nothing of what was sent."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from small_loop import SmallLoop

from dagster_project.ledger.log_lines import JsonLines, about


def lines_of(records: list[logging.LogRecord]) -> list[dict[str, str]]:
    return [json.loads(JsonLines().format(record)) for record in records]


def test_each_settled_action_has_a_line_with_its_ids(loop: SmallLoop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dagster_project")
    loop.flag("C1")
    loop.run()
    settled = {line["action"]: line for line in lines_of(caplog.records) if "action" in line}
    action = loop.action("C1", "join")

    assert set(settled) == {row.action_id for row in loop.rows() if row.group_id is None}
    line = settled[action.action_id]
    assert (line["event"], line["trace"], line["run"]) == (action.event_id, action.event_id, "run-1")
    assert (line["step"], line["destination"], line["verdict"]) == ("join", "hubspot", "delivered")
    assert line["message"] == "join delivered"
    assert "c1@example.com" not in caplog.text


def test_a_line_is_one_object_whatever_the_message_holds() -> None:
    record = logging.LogRecord("x", logging.ERROR, "f", 1, 'two\nlines "%s"', ("ä",), None)
    record.__dict__.update(about(action="a", event=None, run=""))
    text = JsonLines().format(record)

    assert "\n" not in text
    assert json.loads(text)["message"] == 'two\nlines "ä"'
    assert {"action", "level", "at", "logger", "message"} == set(json.loads(text))


def test_a_traceback_is_kept() -> None:
    try:
        raise ValueError("x")
    except ValueError:
        record = logging.getLogger("x").makeRecord("x", logging.ERROR, "f", 1, "m", (), None)
        record.exc_info = sys.exc_info()
    assert "ValueError: x" in json.loads(JsonLines().format(record))["traceback"]
