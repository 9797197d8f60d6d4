"""The strict reader gives back what a CSV writer wrote, and never half of a file that was cut off."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.land.csv_files import FileProblem, read_header, read_rows

values = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=8)
tables = st.lists(st.tuples(values, values, values), min_size=1, max_size=6)


def written(rows: list[tuple[str, str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(("a", "b", "c"))
    writer.writerows(rows)
    return text.getvalue().encode()


def read_back(data: bytes) -> list[tuple[str, str, str]]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file.csv"
        path.write_bytes(data)
        assert read_header(path) == ("a", "b", "c")
        return [(row.values["a"], row.values["b"], row.values["c"]) for row in read_rows(path, ("a", "c"))]


@given(tables)
def test_what_was_written_is_read(rows: list[tuple[str, str, str]]) -> None:
    assert read_back(written(rows)) == rows


@given(tables, st.data())
def test_a_file_cut_off_anywhere_is_refused_or_ends_at_a_whole_row(
    rows: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    whole = written(rows)
    cut = data.draw(st.integers(min_value=len(b'"a","b","c"\n'), max_value=len(whole) - 1))
    try:
        read = read_back(whole[:cut])
    except FileProblem:
        return
    assert read == rows[: len(read)]
    assert len(read) < len(rows)


def test_line_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text('a,b\n1,"x\ny"\n\n2,z\n')
    assert [(row.line_number, row.values["a"]) for row in read_rows(path, ("a",))] == [(3, "1"), (5, "2")]


def test_a_missing_column_is_told_before_the_first_row(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(FileProblem, match=r"file\.csv line 1: column z is missing; the file has a, b"):
        next(read_rows(path, ("a", "z")))
