"""Log lines as JSON, one a line, each with the ids of the signal, event, action, run and trace that it is about."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

ROOT = "dagster_project"
FIELDS = "loop_ids"  # the attribute of a log record that carries the ids


def about(**ids: Any) -> dict[str, dict[str, str]]:
    """What to pass as `extra`: ids that are known, as text. A trace is an event's: it has its id, 32 hex digits."""
    known = {name: str(value) for name, value in ids.items() if value is not None and value != ""}
    if "event" in known:
        known.setdefault("trace", known["event"])
    return {FIELDS: known}


class JsonLines(logging.Formatter):
    """One JSON object a record: at, level, logger, message, the ids, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        ids: Mapping[str, str] = getattr(record, FIELDS, {})
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **ids,
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def write_json_lines(level: str = "info") -> None:
    """Makes this process write the project's log lines as JSON to its standard error, from this level on."""
    logger = logging.getLogger(ROOT)
    logger.setLevel(level.upper())
    logger.propagate = False  # nobody else writes them a second time
    if not any(isinstance(handler.formatter, JsonLines) for handler in logger.handlers):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        logger.addHandler(handler)
