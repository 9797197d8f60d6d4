"""A mark outside of the ledger never falls, whoever raises it at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_bench import START
from postgres_server import PostgresServer

from dagster_project.ledger.marks import DatabaseMarks, FileMarks, Mark, MarkPlace

LOW, LOWER, HIGHER = (Mark(number, START, {"s": number}) for number in (8, 9, 10))
READ_WITHIN_SECONDS = 10.0


@pytest.fixture(params=["file", "sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> MarkPlace:
    if request.param == "file":
        return FileMarks(tmp_path / "mark.json")
    if request.param == "sqlite":
        return DatabaseMarks(f"sqlite:///{tmp_path / 'marks.sqlite'}")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return DatabaseMarks(server.url(server.fresh_database("marks")))


@pytest.fixture
def between_read_and_write(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Lets something happen when the lower mark has been compared with what was there, and is not written yet."""

    def arrange(meanwhile: Callable[[], None]) -> None:
        merged = Mark.merged

        def merged_slowly(self: Mark, other: Mark | None) -> Mark:
            if self == LOWER:
                meanwhile()
            return merged(self, other)

        monkeypatch.setattr(Mark, "merged", merged_slowly)

    return arrange


def test_of_two_that_raise_a_mark_at_once_the_further_is_kept(
    place: MarkPlace, between_read_and_write: Callable[[Callable[[], None]], None]
) -> None:
    place.raise_to("w1", LOW)
    other = threading.Thread(target=lambda: place.raise_to("w1", HIGHER))

    def let_the_other_try() -> None:
        other.start()
        other.join(0.3)  # it is through where nothing keeps it out, and waits where something does

    between_read_and_write(let_the_other_try)
    place.raise_to("w1", LOWER)
    other.join(READ_WITHIN_SECONDS)
    assert not other.is_alive()
    assert place.read("w1") == HIGHER


def test_a_lower_mark_changes_nothing(place: MarkPlace) -> None:
    place.raise_to("w1", HIGHER)
    place.raise_to("w1", LOW)
    place.raise_to("w2", LOW)
    assert (place.read("w1"), place.read("w2"), place.read("w3")) == (HIGHER, LOW, None)
