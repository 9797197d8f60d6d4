"""The store: what was confirmed is in the file, a failed change takes only itself back."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_project.sandbox.effects import Effect, count_effects, read_effects, record_effect
from dagster_project.sandbox.store import Store

FILE = "sandbox.sqlite3"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / FILE)
    yield opened
    opened.close()


def seen_by_others(path: Path) -> int:
    with sqlite3.connect(path / FILE) as other:
        count = int(other.execute("select count(*) from effects").fetchone()[0])
    other.close()
    return count


def write(store: Store, key: str) -> None:
    with store.change():
        record_effect(store, Effect("slack", "chat.postMessage", f"C/{key}", key))


def test_many_calls_share_a_commit_and_each_finds_its_effect_in_the_file(store: Store, tmp_path: Path) -> None:
    async def call(key: str) -> int:
        write(store, key)
        await store.committed()
        return seen_by_others(tmp_path)

    async def calls() -> list[int]:
        return await asyncio.gather(*(call(f"k{number}") for number in range(20)))

    assert asyncio.run(calls()) == [20] * 20


def test_a_failed_change_takes_nothing_of_others_back(store: Store) -> None:
    write(store, "before")
    with pytest.raises(ZeroDivisionError), store.change():
        record_effect(store, Effect("slack", "x", "lost"))
        with store.change():
            record_effect(store, Effect("slack", "x", "lost as well"))
        raise ZeroDivisionError
    write(store, "after")
    asyncio.run(store.committed())
    assert [row["idempotency_key"] for row in read_effects(store)] == ["before", "after"]


def test_one_call_that_is_cancelled_does_not_take_the_commit_from_the_others(store: Store, tmp_path: Path) -> None:
    async def calls() -> None:
        write(store, "a")
        given_up = asyncio.ensure_future(store.committed())
        kept = asyncio.ensure_future(store.committed())
        await asyncio.sleep(0)
        given_up.cancel()
        await kept

    asyncio.run(calls())
    assert seen_by_others(tmp_path) == 1


def fill_the_disk(store: Store) -> None:
    with store.change():
        store.run("insert into hooks (name, headers, body, received_at) values ('x', '{}', zeroblob(4000000), '')")


def test_a_full_disk_confirms_nothing_and_spoils_nothing(store: Store, tmp_path: Path) -> None:
    async def call(work: object) -> str:
        try:
            work()  # type: ignore[operator]
            await store.committed()
        except sqlite3.OperationalError as error:
            return str(error)
        return "confirmed"

    async def calls() -> list[str]:
        works = (lambda: write(store, "a"), lambda: fill_the_disk(store), lambda: write(store, "b"))
        return await asyncio.gather(*(call(work) for work in works))

    write(store, "first")
    asyncio.run(store.committed())
    pages = store.value("pragma page_count")
    store.run(f"pragma max_page_count = {pages + 2}")
    answers = asyncio.run(calls())
    assert "full" in answers[1]
    confirmed = [answer for answer in (answers[0], answers[2]) if answer == "confirmed"]
    assert seen_by_others(tmp_path) == 1 + len(confirmed)
    store.run("pragma max_page_count = 1000000")
    write(store, "last")
    asyncio.run(store.committed())
    assert seen_by_others(tmp_path) == 2 + len(confirmed)


def test_clearing_empties_every_table_and_starts_ids_anew(store: Store) -> None:
    write(store, "a")
    with store.change():
        store.run("insert into hubspot_lists values (null, 'a', '0-1', 'MANUAL', '', '')")
    store.clear()
    assert read_effects(store) == []
    with store.change():
        row = store.one("insert into hubspot_lists values (null, 'a', '0-1', 'MANUAL', '', '') returning id")
    assert row is not None
    assert row["id"] == 1


def test_counts_name_the_keys_that_created_twice(store: Store) -> None:
    for key, is_created in (("a", True), ("a", False), ("b", True), ("b", True)):
        with store.change():
            record_effect(store, Effect("hubspot", "tasks.upsert", "tasks/1", key, is_created=is_created))
    counts = count_effects(store)
    assert (counts["total"], counts["created"]) == (4, 3)
    assert [(row["idempotency_key"], row["created"]) for row in counts["created_more_than_once"]] == [("b", 2)]
    assert [row["id"] for row in read_effects(store, "hubspot", after=2)] == [3, 4]
    assert read_effects(store, "slack") == []
