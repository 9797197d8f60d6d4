"""Keeps the page on the contract suite true: what a test finds is the page's row, or the test fails.

`LOOP_CONTRACT_REPORT=write` makes a run of the whole suite write the page; without it every row is compared.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "contract_suite.md"
ASKED_BY = "LOOP_CONTRACT_REPORT"
BEGIN, END = "<!-- table {name}: written by the suite -->", "<!-- end of table {name} -->"


@dataclass(frozen=True)
class Table:
    """One table of the page: its columns, the first `keys` of which say which row it is."""

    name: str
    columns: tuple[str, ...]
    keys: int


CALLS = Table("calls", ("case", "hubspot", "slack", "tryton", "webhook"), 1)
MAIL = Table("mail", ("step", "the server", "outcome", "messages that arrived"), 2)
DELIVERY = Table(
    "delivery",
    ("destination", "operation", "case", "outcome", "ledger", "effects", "ledger in the end", "effects in the end"),
    3,
)
TRYTON = Table("tryton", ("what holds", "sandbox", "real"), 1)
DIFFERENCES = Table("differences", ("call", "sandbox", "real", "why it may stay"), 1)
RACE = Table("race", ("eight processes", "orders left", "the one that was stopped", "the ledger"), 1)
TABLES = {table.name: table for table in (CALLS, MAIL, DELIVERY, TRYTON, DIFFERENCES, RACE)}

Rows = dict[tuple[str, ...], tuple[str, ...]]


def committed_report(page: Path = PAGE) -> Mapping[str, Rows]:
    """The rows of every table of the committed page; none where there is no page."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    return {name: _rows_in(text, table) for name, table in TABLES.items()}


def _rows_in(text: str, table: Table) -> Rows:
    begin, end = BEGIN.format(name=table.name), END.format(name=table.name)
    if begin not in text or end not in text:
        return {}
    lines = text.partition(begin)[2].partition(end)[0].strip().splitlines()[2:]
    found = [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in lines if line.startswith("|")]
    return {row[: table.keys]: row[table.keys :] for row in found}


def is_writing() -> bool:
    return os.environ.get(ASKED_BY) == "write"


@dataclass
class ContractReport:
    """Rows found by this run, beside those of the committed page."""

    committed: Mapping[str, Rows]
    found: dict[str, Rows] = field(default_factory=dict)
    cells: dict[tuple[str, tuple[str, ...], str], dict[str, str]] = field(default_factory=dict)

    def row(self, table: Table, key: Sequence[str], values: Sequence[str]) -> None:
        """Takes one row; raises AssertionError where the committed page says otherwise."""
        assert len(key) == table.keys and len(key) + len(values) == len(table.columns), (table, key, values)
        clean_key, clean = tuple(map(_clean, key)), tuple(map(_clean, values))
        self.found.setdefault(table.name, {})[clean_key] = clean
        if not is_writing():
            said = self.committed[table.name].get(clean_key)
            assert said == clean, (
                f"{PAGE.name} says {said} of {clean_key}, the suite found {clean}; "
                f"write it anew with {ASKED_BY}=write and read what has changed"
            )

    def cell(self, table: Table, key: str, column: str, value: str, variant: str = "") -> None:
        """Takes one cell of a row whose further cells come from other tests; variants of one cell share it."""
        names = table.columns[table.keys :]
        row_key = (_clean(key),)
        self.cells.setdefault((table.name, row_key, column), {})[variant] = _clean(value)
        told = [together(self.cells.get((table.name, row_key, name), {})) for name in names]
        self.found.setdefault(table.name, {})[row_key] = tuple(map(_clean, told))
        if not is_writing():
            text = dict(zip(names, self.committed[table.name].get(row_key, ()), strict=False)).get(column, "")
            said = variant_in(text, variant)
            assert said == _clean(value), f"{PAGE.name} says {said!r} of {key!r} at {column}, the suite found {value!r}"

    def write_if_asked(self) -> None:
        if is_writing():
            PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), self.found), encoding="utf-8")


def together(variants: Mapping[str, str]) -> str:
    """One cell for several variants: what most of them say, then those that say otherwise, by name."""
    if not variants:
        return ""
    counted = Counter(variants.values())
    common = max(counted, key=lambda value: (counted[value], value))
    others = [f"{value} ({', '.join(_saying(value, variants))})" for value in sorted(counted) if value != common]
    return " <br> ".join([common, *others])


def _saying(value: str, variants: Mapping[str, str]) -> list[str]:
    return sorted(variant for variant, said in variants.items() if said == value)


def variant_in(cell: str, variant: str) -> str:
    """What a cell says of one variant; the reverse of `together`."""
    common, *others = cell.split(" <br> ")
    for other in others:
        value, _, names = other.removesuffix(")").rpartition(" (")
        if variant in names.split(", "):
            return value
    return common


def with_tables(text: str, found: Mapping[str, Rows]) -> str:
    """The page with the found tables in the place of its own; a table of which nothing was found stays."""
    for name, rows in found.items():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        if begin not in text or end not in text:
            raise ValueError(f"{PAGE.name} has no place for the table {name!r}: it needs {begin} and {end}")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{_table_text(TABLES[name], rows)}\n{end}{rest.partition(end)[2]}"
    return text


def _table_text(table: Table, rows: Rows) -> str:
    body = [f"| {' | '.join([*key, *values])} |" for key, values in rows.items()]
    return "\n".join([f"| {' | '.join(table.columns)} |", "|---" * len(table.columns) + "|", *body])


def _clean(text: str) -> str:
    """One line without a bar, and never empty, so that a row can be read back."""
    return " ".join(text.replace("|", "/").split()) or "-"
