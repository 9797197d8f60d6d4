"""Reading what the capture wrote, through a short read-only connection."""

# ruff: noqa: E501 - one case a line reads as the table that it is

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from dagster_project.contracts.catalog import CaptureRelations
from dagster_project.contracts.vocabulary import Kind, Severity
from dagster_project.contracts.warehouse import DuckDBTarget
from dagster_project.detect import warehouse_reading
from dagster_project.detect.warehouse_reading import (
    WarehouseUnavailable,
    build_records,
    count_events,
    do_not_contact_rows,
    events_of,
    flagged_severities,
    incarnation_of,
    newest_captured_no,
    reading,
    released_builds,
    rows_by_key,
)

CAPTURE = CaptureRelations(incarnation="i", builds="b", events="e", state="s")
DDL = """
create table i as select 'warehouse-1' as incarnation_id;
create table b (build_id text, signal text, build_no bigint, status text, is_baseline boolean, code_version text,
  criteria_version text, data_as_of timestamp, population bigint, flagged bigint, opened bigint, escalated bigint,
  resolved bigint, captured_at timestamp, released_at timestamp, held_reason text);
insert into b values
 ('b2', 'x', 2, 'captured', false, 'c', 'k', '2026-11-02', null, 5, 1, 1, 1, '2026-11-02 01:00', '2026-11-02 02:00', null),
 ('b1', 'x', 1, 'captured', true, null, null, '2026-11-01', 100, 4, 4, 0, 0, '2026-11-01 01:00', '2026-11-01 02:00', null),
 ('b3', 'x', 3, 'captured', false, 'c', 'k', '2026-11-03', 100, 5, 1, 0, 0, '2026-11-03 01:00', null, 'test t failed'),
 ('b4', 'x', null, 'skipped_stale', false, 'c', 'k', '2026-11-03', null, 0, 0, 0, 0, '2026-11-04 01:00', null, 'stale'),
 ('y1', 'y', 1, 'captured', true, 'c', 'k', '2026-11-01', 9, 1, 1, 0, 0, '2026-11-01 01:00', '2026-11-01 02:00', null);
create table e as select * from (values
 ('e1', 'b2', 'x', 'c''1', 1, 'opened', 'high', 0.5, timestamp '2026-11-02', timestamp '2026-11-02 01:00', '{"a": "ü"}'),
 ('e2', 'b2', 'x', 'c2', 2, 'resolved', 'low', null, timestamp '2026-11-02', timestamp '2026-11-02 01:00', '{}')
) t (event_id, build_id, signal, entity_id, episode, kind, severity, score, observed_at, emitted_at, row_json);
create table t as select * from (values ('c1', 'high'), ('c2', 'low')) t (entity_id, severity);
create table m as select * from (values (1, 'a'), (2, 'b'), (2, 'twice')) t (id, name);
create table d as select 'customer' as entity_type, 7 as entity_id, null as reason, timestamp '2026-01-01' as since_at;
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> DuckDBTarget:
    file = tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(DDL)
    return DuckDBTarget(file, "main")


@pytest.fixture
def warehouse(target: DuckDBTarget) -> Iterator[warehouse_reading.WarehouseConnection]:
    with reading(target) as connection:
        yield connection


def test_released_builds_come_in_order_and_alone(warehouse: warehouse_reading.WarehouseConnection) -> None:
    builds = released_builds(warehouse, CAPTURE, "x")
    assert [b.build_id for b in builds] == ["b1", "b2"]
    assert builds[0].data_as_of == datetime(2026, 11, 1, tzinfo=UTC)
    assert (builds[0].code_version, builds[0].population, builds[1].population) == ("", 100, None)
    assert [builds[1].count_of(kind) for kind in Kind] == [1, 1, 1]
    assert builds[1].event_count == 3


def test_records_tell_of_builds_that_captured_nothing_too(warehouse: warehouse_reading.WarehouseConnection) -> None:
    records = build_records(warehouse, CAPTURE, "x")
    assert [(r.build_no, r.status, r.held_reason) for r in records] == [
        (1, "captured", ""), (2, "captured", ""), (3, "captured", "test t failed"), (None, "skipped_stale", "stale"),
    ]  # fmt: skip
    assert newest_captured_no(warehouse, CAPTURE, "x") == 3
    assert newest_captured_no(warehouse, CAPTURE, "nothing") == 0


def test_events_come_with_their_rows(warehouse: warehouse_reading.WarehouseConnection) -> None:
    first, second = sorted(events_of(warehouse, CAPTURE, "b2"), key=lambda e: e.event_id)
    assert (first.entity_id, first.kind, first.severity, first.score) == ("c'1", Kind.OPENED, Severity.HIGH, 0.5)
    assert first.row == {"a": "ü"}
    assert first.emitted_at.tzinfo is UTC
    assert second.score is None
    assert count_events(warehouse, CAPTURE, "x") == 2


def test_what_else_is_read(warehouse: warehouse_reading.WarehouseConnection) -> None:
    assert incarnation_of(warehouse, CAPTURE) == "warehouse-1"
    assert flagged_severities(warehouse, "t") == {"c1": Severity.HIGH, "c2": Severity.LOW}
    assert do_not_contact_rows(warehouse, "d") == [("customer", "7", "", datetime(2026, 1, 1, tzinfo=UTC))]


@pytest.mark.parametrize("ids_per_query", [1, 2, 1000])
def test_rows_are_found_by_the_text_of_their_key(
    warehouse: warehouse_reading.WarehouseConnection, monkeypatch: pytest.MonkeyPatch, ids_per_query: int
) -> None:
    monkeypatch.setattr(warehouse_reading, "IDS_PER_QUERY", ids_per_query)
    found = rows_by_key(warehouse, "m", "id", ["id", "name"], ["2", "1", "9", "'; drop table m; --"])
    assert set(found) == {"1", "2"}
    assert found["1"] == {"id": 1, "name": "a"}
    assert found["2"]["id"] == 2
    assert rows_by_key(warehouse, "m", "id", ["name"], []) == {}


def test_a_warehouse_that_is_not_there_yet_says_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(WarehouseUnavailable, match="does not exist yet; land data and run"),
        reading(DuckDBTarget(tmp_path / "none.duckdb", "main")),
    ):
        pass


def test_a_query_that_fails_is_told_as_such(target: DuckDBTarget) -> None:
    with pytest.raises(WarehouseUnavailable, match=r"a query failed: .*nowhere"), reading(target) as warehouse:
        warehouse.rows("select * from nowhere")


def test_a_fault_of_our_own_is_not_taken_for_the_warehouses(target: DuckDBTarget) -> None:
    with pytest.raises(ZeroDivisionError), reading(target):
        _ = 1 / 0


def test_the_connection_cannot_write(warehouse: warehouse_reading.WarehouseConnection) -> None:
    with pytest.raises(duckdb.InvalidInputException, match="read-only"):
        warehouse.rows("delete from m")


def test_a_file_that_is_no_warehouse_is_given_up_on_at_once(tmp_path: Path) -> None:
    file = tmp_path / "broken.duckdb"
    file.write_bytes(b"not a database" * 1000)
    with pytest.raises(WarehouseUnavailable, match="cannot be read"), reading(DuckDBTarget(file, "main")):
        pass
