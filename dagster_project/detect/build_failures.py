"""Tells why dbt could not build or test one model in a line that says what is wrong and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

LONGEST = 300  # characters of a message that is not known here
_PLACE = re.compile(r"\w+ Error in (?:model|test|unit_test) \w+ \(([^)]+)\)")
_MACRO_TRACE = re.compile(r"\n\s*\n\s*> in macro .*", re.DOTALL)
_CAPTURE = re.compile(r"signal \w+ refused, nothing was captured: .*", re.DOTALL)
_CONTRACT_ROW = re.compile(
    r"^\s*\|\s*(\w+)\s*\|\s*([^|]*?)\s*\|\s*([^|]*?)\s*\|\s*([a-z][^|]*?)\s*\|\s*$", re.MULTILINE
)


def failure_in_words(result: Mapping[str, Any]) -> str:
    """The line for one failed node.

    Parameters: a result of dbt's run_results.json, with `unique_id` and `message`.
    """
    message = _MACRO_TRACE.sub("", result.get("message") or "")
    place = _PLACE.search(message)
    where = place[1] if place else result["unique_id"]
    if found := _CAPTURE.search(message):
        return f"{where}: {_on_one_line(found[0])}"
    if "enforced contract that failed" in message:
        return f"{where}: {_contract(message)}"
    if result["unique_id"].startswith("test."):
        return f"{where}: a test failed: {_on_one_line(message)}; what it tests is held until it passes"
    return f"{where}: {_on_one_line(_PLACE.sub('', message))[:LONGEST]}"


def _contract(message: str) -> str:
    rows = [row for row in _CONTRACT_ROW.findall(message) if row[0] != "column_name"]
    told = "; ".join(_mismatch(*row) for row in rows) or _on_one_line(message)[:LONGEST]
    return f"the SQL and the YAML do not agree, nothing was built: {told}"


def _mismatch(column: str, in_sql: str, in_yml: str, reason: str) -> str:
    if not in_yml:
        return f"the YAML does not list the column {column} -> add it with data_type: {in_sql.lower()}"
    if not in_sql:
        return f"the SQL has no column {column}, the YAML lists it as {in_yml} -> select it, or take it out of the YAML"
    if column == "observed_at" and "ZONE" not in in_sql.upper():
        return f"{column} is {in_sql}, without a zone -> write {{{{ utc_moment('...') }}}} as observed_at"
    remedy = f"cast it in the SQL, or write data_type: {in_sql.lower()}"
    return f"{column} is {in_sql} in the SQL and {in_yml} in the YAML -> {remedy}"


def _on_one_line(words: str) -> str:
    return " ".join(words.split())
