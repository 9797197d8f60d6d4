"""What the reader promises of every warehouse: the same rows in the same Python types, whoever keeps them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from warehouse_kits import Kit

from dagster_project.contracts.vocabulary import Kind, Severity
from dagster_project.detect import warehouse_reading
from dagster_project.detect.warehouse_reading import (
    WarehouseUnavailable,
    build_records,
    count_events,
    count_rows,
    do_not_contact_rows,
    events_of,
    flagged_severities,
    incarnation_of,
    newest_captured_no,
    reading,
    released_builds,
    rows_by_key,
)

STRANGE_IDS = [
    *("o'hare", 'say "hi"', "two\nlines", "back\\slash", "r😀cket", "käse|1", "{{ 7 * 7 }}", "100%s", "what?", "a$$b"),
    *(" padded ", "'; drop table flagged; --", ":name", "x" * 500),
]
SIGNAL = "customer_churn_risk"
MOMENT = datetime(2026, 11, 1, 1, 2, 3, 456789, tzinfo=UTC)


def moment(kit: Kit, text: str | None, kind: str | None = None) -> str:
    return f"cast({kit.literal(text)} as {kind or kit.moment})"


def build_row(kit: Kit, build_id: str, build_no: int | None, released: bool, **changed: str) -> list[str]:
    values = {
        "build_id": kit.literal(build_id), "signal": kit.literal(SIGNAL),
        "build_no": "cast(null as bigint)" if build_no is None else str(build_no),
        "status": "'captured'", "is_baseline": "false", "code": "'c'", "criteria": "'k'",
        "data_as_of": moment(kit, "2026-11-01 01:02:03.456789"), "population": "100", "flagged": "2", "opened": "1",
        "escalated": "0", "resolved": "1", "captured_at": moment(kit, f"2026-11-01 02:00:0{build_no or 0}"),
        "released_at": moment(kit, "2026-11-01 03:00:00" if released else None),
        "held_reason": "cast(null as varchar)",
    }  # fmt: skip
    return list({**values, **changed}.values())


def event_row(kit: Kit, event_id: str, build_id: str, entity_id: str, **changed: str) -> list[str]:
    values = {
        "event_id": kit.literal(event_id), "build_id": kit.literal(build_id), "signal": kit.literal(SIGNAL),
        "entity_id": kit.literal(entity_id), "episode": "1", "kind": "'opened'", "severity": "'high'", "score": "0.5",
        "observed_at": moment(kit, "2026-11-01 00:00:00"), "emitted_at": moment(kit, "2026-11-01 01:00:00"),
        "row_json": kit.literal('{"name": "Käse \\u00fc", "amount": 3.50}'),
    }  # fmt: skip
    return list({**values, **changed}.values())


def test_released_builds_come_whole_in_order_and_alone(kit: Kit) -> None:
    rows = [
        build_row(kit, "b2", 2, True, population="cast(null as bigint)"),
        build_row(kit, "b1", 1, True, is_baseline="true", code="cast(null as varchar)"),
        build_row(kit, "b3", 3, False, held_reason="'test failed: t'"),
        build_row(kit, "b4", None, False, status="'skipped_stale'"),
        build_row(kit, "other", 1, True, signal="'another'"),
    ]
    kit.insert("signal_builds", rows)
    with reading(kit.target) as warehouse:
        first, second = released_builds(warehouse, kit.capture, SIGNAL)
        records = build_records(warehouse, kit.capture, SIGNAL)
        newest = newest_captured_no(warehouse, kit.capture, SIGNAL)
    assert (first.build_id, first.build_no, first.is_baseline, first.code_version) == ("b1", 1, True, "")
    assert (second.build_id, second.population, second.event_count) == ("b2", None, 2)
    assert first.data_as_of == MOMENT
    assert first.data_as_of.tzinfo is not None
    assert {(type(build.flagged), type(build.opened)) for build in (first, second)} == {(int, int)}
    assert {(r.build_no, r.status, r.released_at is not None, r.held_reason) for r in records} == {
        (1, "captured", True, ""), (2, "captured", True, ""), (3, "captured", False, "test failed: t"),
        (None, "skipped_stale", False, ""),
    }  # fmt: skip
    assert newest == 3


def test_events_come_with_ids_and_rows_as_they_were_written(kit: Kit) -> None:
    rows = [event_row(kit, f"e{n}", "b1", entity_id) for n, entity_id in enumerate(STRANGE_IDS)]
    rows.append(
        event_row(kit, "gone", "b1", "z", kind="'resolved'", severity="'low'", score="cast(null as double precision)")
    )
    kit.insert("signal_events", rows)
    with reading(kit.target) as warehouse:
        found = {event.event_id: event for event in events_of(warehouse, kit.capture, "b1")}
        assert count_events(warehouse, kit.capture, SIGNAL) == len(rows)
        assert events_of(warehouse, kit.capture, "none") == []
    assert {found[f"e{n}"].entity_id: n for n in range(len(STRANGE_IDS))} == {
        id_: n for n, id_ in enumerate(STRANGE_IDS)
    }
    assert (found["gone"].kind, found["gone"].severity, found["gone"].score) == (Kind.RESOLVED, Severity.LOW, None)
    assert found["e0"].row == {"name": "Käse ü", "amount": 3.5}
    assert found["e0"].emitted_at == datetime(2026, 11, 1, 1, tzinfo=UTC)


def test_enrichment_rows_are_found_by_strange_keys_and_keep_their_types(kit: Kit) -> None:
    table = kit.relation("terms")
    columns = "id varchar, price numeric(18, 2), quantity bigint, share double precision, "
    columns += f"is_open boolean, due date, seen_at {kit.moment}"
    kit.run(f"create table {table} ({columns})")
    full = [
        "12.50",
        "9007199254740993",
        "0.1",
        "true",
        "cast('2026-11-01' as date)",
        moment(kit, "2026-11-01 01:02:03.456789"),
    ]
    bare = [
        "cast(null as numeric(18, 2))",
        "cast(null as bigint)",
        "cast(null as double precision)",
        "cast(null as boolean)",
        "cast(null as date)",
        moment(kit, None),
    ]
    kit.insert("terms", [[kit.literal(id_), *full] for id_ in STRANGE_IDS] + [["'bare'", *bare]])
    names = ["price", "quantity", "share", "is_open", "due", "seen_at"]
    with reading(kit.target) as warehouse:
        found = rows_by_key(warehouse, table, "id", names, [*STRANGE_IDS, "bare", "nobody", "%s", "?"])
        assert count_rows(warehouse, table) == len(STRANGE_IDS) + 1
    assert set(found) == {*STRANGE_IDS, "bare"}
    row = found[STRANGE_IDS[0]]
    assert row == {
        "price": Decimal("12.50"), "quantity": 9007199254740993, "share": 0.1, "is_open": True,
        "due": date(2026, 11, 1), "seen_at": MOMENT.replace(tzinfo=None),
    }  # fmt: skip
    assert [type(row[name]) for name in ("price", "quantity", "share", "is_open")] == [Decimal, int, float, bool]
    assert found["bare"] == dict.fromkeys(names)


@pytest.mark.parametrize("ids_per_query", [1, 3])
def test_keys_are_asked_for_in_portions(kit: Kit, monkeypatch: pytest.MonkeyPatch, ids_per_query: int) -> None:
    monkeypatch.setattr(warehouse_reading, "IDS_PER_QUERY", ids_per_query)
    kit.run(f"create table {kit.relation('numbered')} (id integer, name varchar)")
    kit.insert("numbered", [[str(n), f"'name {n}'"] for n in range(7)])
    with reading(kit.target) as warehouse:
        found = rows_by_key(warehouse, kit.relation("numbered"), "id", ["name"], [str(n) for n in range(9)])
        assert rows_by_key(warehouse, kit.relation("numbered"), "id", ["name"], []) == {}
    assert {key: row["name"] for key, row in found.items()} == {str(n): f"name {n}" for n in range(7)}


@pytest.mark.parametrize("is_zoned", [False, True])
def test_do_not_contact_is_utc_with_and_without_a_zone(kit: Kit, is_zoned: bool) -> None:
    kit.run(f"drop table {kit.relation('do_not_contact')}")
    kind = kit.zoned if is_zoned else kit.moment
    columns = f"entity_type varchar, entity_id varchar, reason varchar, since_at {kind}"
    kit.run(f"create table {kit.relation('do_not_contact')} ({columns})")
    text = "2026-01-01 09:00:00+09:00" if is_zoned else "2026-01-01 00:00:00"
    rows = [["'customer'", kit.literal(id_), "cast(null as varchar)", moment(kit, text, kind)] for id_ in STRANGE_IDS]
    kit.insert("do_not_contact", rows)
    with reading(kit.target) as warehouse:
        found = do_not_contact_rows(warehouse, kit.relation("do_not_contact"))
    assert {entity_id for _, entity_id, _, _ in found} == set(STRANGE_IDS)
    assert {(entity, reason, since) for entity, _, reason, since in found} == {
        ("customer", "", datetime(2026, 1, 1, tzinfo=UTC))
    }


def test_empty_tables_are_no_trouble(kit: Kit) -> None:
    with reading(kit.target) as warehouse:
        assert incarnation_of(warehouse, kit.capture) == "warehouse-1"
        assert released_builds(warehouse, kit.capture, SIGNAL) == []
        assert build_records(warehouse, kit.capture, SIGNAL) == []
        assert newest_captured_no(warehouse, kit.capture, SIGNAL) == 0
        assert count_events(warehouse, kit.capture, SIGNAL) == 0
        assert flagged_severities(warehouse, kit.relation("flagged")) == {}
        assert do_not_contact_rows(warehouse, kit.relation("do_not_contact")) == []


def test_a_warehouse_without_identity_is_not_bound_to(kit: Kit) -> None:
    kit.run(f"delete from {kit.relation('signal_incarnation')}")
    with pytest.raises(WarehouseUnavailable, match="holds no incarnation"), reading(kit.target) as warehouse:
        incarnation_of(warehouse, kit.capture)


def test_who_is_flagged_now(kit: Kit) -> None:
    kit.insert("flagged", [[kit.literal(id_), "'critical'"] for id_ in STRANGE_IDS])
    with reading(kit.target) as warehouse:
        assert flagged_severities(warehouse, kit.relation("flagged")) == dict.fromkeys(STRANGE_IDS, Severity.CRITICAL)


def test_a_missing_table_is_told_by_name(kit: Kit) -> None:
    kit.run(f"drop table {kit.relation('signal_builds')}")
    with (
        pytest.raises(WarehouseUnavailable, match=r"a query failed: .*(?i:signal_builds)"),
        reading(kit.target) as warehouse,
    ):
        released_builds(warehouse, kit.capture, SIGNAL)
