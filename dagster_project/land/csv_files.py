"""Reads a CSV file strictly, so that a damaged file is refused with its place instead of landing half understood."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


class FileProblem(Exception):
    """Why a file cannot be landed: where, what, and what to do."""


@dataclass(frozen=True, slots=True)
class NumberedRow:
    """One row of the file and the line on which it ends (the header is line 1)."""

    line_number: int
    values: dict[str, str]


def read_header(path: Path) -> tuple[str, ...]:
    """The names in the file's first line.

    Raises:
        FileProblem: the file is missing, empty, or its first line cannot be read.
    """
    rows = _rows(path)
    try:
        _, names = next(rows)
    except StopIteration:
        raise FileProblem(f"{path.name}: the file is empty; export it again") from None
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise FileProblem(f"{path.name} line 1: the column {', '.join(repeated)} is there more than once")
    return tuple(names)


def read_rows(path: Path, required: Sequence[str]) -> Iterator[NumberedRow]:
    """The file's rows by column name, in order.

    Args:
        path: a UTF-8 file with a header line; a byte order mark is tolerated.
        required: columns that the file must have.

    Raises:
        FileProblem: a column is missing, or the file is mis-encoded, cut off or malformed, with line and column; it
            may come in the middle of the file, so nothing read before it may be kept.
    """
    header = read_header(path)
    missing = [name for name in required if name not in header]
    if missing:
        raise FileProblem(
            f"{path.name} line 1: column {', '.join(missing)} is missing; the file has {', '.join(header)}. "
            "If a column was renamed, give it its old name back"
        )
    rows = _rows(path)
    next(rows)
    count = 0
    for line_number, values in rows:
        if len(values) != len(header):
            place = header[min(len(values), len(header)) - 1]
            raise FileProblem(
                f"{path.name} line {line_number}, column {place}: {len(values)} values where the header has "
                f"{len(header)}; the file was cut off or a quote is missing"
            )
        count += 1
        yield NumberedRow(line_number, dict(zip(header, values, strict=True)))
    if not count:
        raise FileProblem(f"{path.name}: there is a header and no row below it; export it again")


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(_lines(path), strict=True)
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FileProblem(
                f"{path.name} line {reader.line_num}: {error}; the file was cut off, or a quote is out of place"
            ) from error
        if values:  # an empty line is no row
            yield reader.line_num, values


def _lines(path: Path) -> Iterator[str]:
    """The file's lines as text; the last one must be ended, since only then is its last value known to be whole."""
    try:
        with path.open("rb") as file:
            header: list[str] = []
            for number, raw in enumerate(file, start=1):
                line = _decoded(path, number, raw, header)
                if number == 1:
                    line = line.removeprefix("\ufeff")
                    header = _split(line)
                if not line.endswith("\n"):
                    raise FileProblem(
                        f"{path.name} line {number}: the last line is not ended, so its last value may be cut off; "
                        "export the file again, or end the line if it is whole"
                    )
                yield line
    except FileNotFoundError:
        raise FileProblem(f"{path.name}: there is no such file in {path.parent}") from None
    except OSError as error:
        raise FileProblem(f"{path.name}: it cannot be read: {error}") from error


def _decoded(path: Path, number: int, raw: bytes, header: Sequence[str]) -> str:
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", errors="replace")
        raise FileProblem(
            f"{path.name} line {number}, {_column_at(before, header)}: the byte 0x{raw[error.start]:02x} is not UTF-8; "
            "save the file as UTF-8"
        ) from error
    if "\x00" in line:
        place = _column_at(line[: line.index("\x00")], header)
        raise FileProblem(f"{path.name} line {number}, {place}: a zero byte; the file is damaged or not text")
    return line


def _column_at(before: str, header: Sequence[str]) -> str:
    index = len(_split(before)) - 1
    character = f"character {len(before) + 1}"
    return f"column {header[index]} ({character})" if 0 <= index < len(header) else character


def _split(line: str) -> list[str]:
    """The values of a piece of a line, as far as they go; used to say where something is, never to land it."""
    return next(csv.reader([line.rstrip("\r\n")]), None) or [""]
