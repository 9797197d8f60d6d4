"""What was seen of a change is kept for its author, for a while, and one is made at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest

from dagster_project.console.previews import KEPT_WITHIN, MOST_KEPT, Busy, PreviewKeeper

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)


def looking(_name: str, value: Any, signals: Sequence[str]) -> Mapping[str, Any]:
    return {one: {"flagged": value} for one in signals}


def test_a_ticket_is_its_author_s_for_a_while_and_for_what_held_then() -> None:
    keeper = PreviewKeeper(looking)
    seen = keeper.look("ada", "limit", 3, ["churn"], {"other": 1}, AT)
    assert keeper.of(seen.ticket, "ada", {"other": 1}, AT + KEPT_WITHIN) == seen
    assert seen.preview == {"churn": {"flagged": 3}}
    assert keeper.of(seen.ticket, "bob", {"other": 1}, AT) is None
    assert keeper.of(seen.ticket, "ada", {}, AT) is None
    assert keeper.of(seen.ticket, "ada", {"other": 1}, AT + KEPT_WITHIN + timedelta(seconds=1)) is None
    assert keeper.of("made up", "ada", {"other": 1}, AT) is None


def test_the_oldest_goes_when_there_are_too_many() -> None:
    keeper = PreviewKeeper(looking)
    tickets = [keeper.look("ada", "limit", n, [], {}, AT).ticket for n in range(MOST_KEPT + 1)]
    assert keeper.of(tickets[0], "ada", {}, AT) is None
    assert keeper.of(tickets[1], "ada", {}, AT) is not None


def test_a_second_one_is_told_to_wait_and_a_failed_one_makes_way() -> None:
    begun, may_end = Event(), Event()

    def slow(_name: str, _value: Any, _signals: Sequence[str]) -> Mapping[str, Any]:
        begun.set()
        assert may_end.wait(30)
        raise ValueError("no warehouse")

    keeper = PreviewKeeper(slow)
    failures: list[BaseException] = []

    def first() -> None:
        try:
            keeper.look("ada", "limit", 3, [], {}, AT)
        except ValueError as error:
            failures.append(error)

    thread = Thread(target=first)
    thread.start()
    assert begun.wait(30)
    with pytest.raises(Busy):
        keeper.look("bob", "limit", 4, [], {}, AT)
    may_end.set()
    thread.join(30)
    assert [str(error) for error in failures] == ["no warehouse"]
    with pytest.raises(ValueError, match="no warehouse"):
        keeper.look("bob", "limit", 4, [], {}, AT)
