"""Lands a folder of CSV files: all of them are read and checked first, then swapped in, in one transaction."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from dagster_project.contracts.warehouse import WarehouseTarget
from dagster_project.land.connection import STAYS, transaction
from dagster_project.land.csv_files import FileProblem, read_header, read_rows
from dagster_project.land.ddl import count_rows, empty_tables, ensure_tables
from dagster_project.land.file_formats import FILE_FORMATS, FileFormat, FileRow
from dagster_project.land.report import LandingError, LandingReport, TableLanding
from dagster_project.land.tables import LANDING_SCHEMA, LANDING_TABLES, TABLES_BY_NAME


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A file that was read whole and found sound, rewritten in the landing table's columns."""

    format: FileFormat
    path: Path
    rows_read: int
    ignored_columns: tuple[str, ...]


def import_files(
    target: WarehouseTarget, folder: Path, as_of: datetime | None = None, landing_schema: str = LANDING_SCHEMA
) -> LandingReport:
    """Replace all landing tables by the files of a folder.

    Args:
        target: the warehouse.
        folder: holds the files that `FILE_FORMATS` names; landing tables without a file become empty.
        as_of: when the data arrived, timezone-aware; now if left out.
        landing_schema: the schema of the landing tables.

    Raises:
        LandingError: files are missing or unsound (all of them are named, each with its place), or the warehouse
            refused; the landing tables are as they were.
        ValueError: as_of has no time zone.
    """
    arrived_at = as_of or datetime.now(UTC)
    if arrived_at.tzinfo is None:
        raise ValueError(f"as_of {arrived_at.isoformat()} has no time zone; give it one, for example UTC")
    if not folder.is_dir():
        raise LandingError(f"{folder} is not a folder. {STAYS}")
    with TemporaryDirectory(prefix="landing-") as workspace:
        prepared = _prepare_all(folder, Path(workspace), arrived_at)
        counts = _swap_in(target, prepared, landing_schema)
    return LandingReport(arrived_at, tuple(_tables(prepared, counts)))


def _prepare_all(folder: Path, workspace: Path, arrived_at: datetime) -> list[_Prepared]:
    prepared, problems = [], []
    for form in FILE_FORMATS:
        source = folder / form.file_name
        if form.is_optional and not source.exists():
            continue
        try:
            prepared.append(_prepare(form, source, workspace / f"{form.table}.csv", arrived_at))
        except FileProblem as problem:
            problems.append(str(problem))
    if problems:
        listed = "\n  ".join(dict.fromkeys(problems))
        raise LandingError(f"{folder} cannot be landed:\n  {listed}\n{STAYS}")
    return prepared


def _prepare(form: FileFormat, source: Path, destination: Path, arrived_at: datetime) -> _Prepared:
    loaded_at = arrived_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    columns = TABLES_BY_NAME[form.table].columns
    seen: set[str] = set()
    rows_read = 0
    with destination.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(TABLES_BY_NAME[form.table].all_columns)
        for row in read_rows(source, form.file_columns):
            rows_read += 1
            landed = _landed_row(form, row.values)
            if landed is None or (form.distinct_on and landed[form.distinct_on] in seen):
                continue
            if form.distinct_on:
                seen.add(landed[form.distinct_on])
            writer.writerow([row.line_number, *(landed.get(column, "") for column in columns), loaded_at])
    return _Prepared(form, destination, rows_read, _ignored_columns(form, source))


def _landed_row(form: FileFormat, row: FileRow) -> Mapping[str, str] | None:
    if form.keeps is not None and not form.keeps(row):
        return None
    return {column: row[cell] if isinstance(cell, str) else cell(row) for column, cell in form.cells.items()}


def _ignored_columns(form: FileFormat, source: Path) -> tuple[str, ...]:
    """Columns of the file that no format of it looks at."""
    used = {name for other in FILE_FORMATS if other.file_name == form.file_name for name in other.file_columns}
    return tuple(name for name in read_header(source) if name not in used)


def _swap_in(target: WarehouseTarget, prepared: Sequence[_Prepared], schema: str) -> dict[str, int]:
    with transaction(target) as connection:
        ensure_tables(connection, schema)
        empty_tables(connection, schema)
        for file in prepared:
            table = TABLES_BY_NAME[file.format.table]
            connection.load_csv(schema, table.name, table.all_columns, file.path)
        return count_rows(connection, schema)


def _tables(prepared: Sequence[_Prepared], counts: Mapping[str, int]) -> list[TableLanding]:
    by_table = {file.format.table: file for file in prepared}
    landed = []
    for table in LANDING_TABLES:
        file = by_table.get(table.name)
        if file is None:
            landed.append(TableLanding(table.name, counts[table.name], "no file", 0))
            continue
        origin = f"from {file.format.file_name}" if file.format.is_derived else file.format.file_name
        landed.append(TableLanding(table.name, counts[table.name], origin, file.rows_read, file.ignored_columns))
    return landed
