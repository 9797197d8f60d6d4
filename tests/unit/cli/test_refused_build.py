"""A build that is refused is an incident from the look that refuses it to the one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from unit.cli.calling import Loopctl
from unit.contracts.prepared_project import prepared_project

from dagster_project.cli.ticking import detect_all
from dagster_project.contracts.event import BuildRefused
from dagster_project.runtime import LedgerDesk, surroundings
from dagster_project.verify.alerting import BUILD_REFUSED, ledger_conditions

TOO_LARGE = """
create schema analytics;
create table analytics.signal_incarnation as select 'w1' as incarnation_id;
create table analytics.signal_events (event_id text, build_id text, signal text, entity_id text, episode bigint,
  kind text, severity text, score double, observed_at timestamp, emitted_at timestamp, row_json text);
create table analytics.do_not_contact (entity_type text, entity_id text, reason text, since_at timestamptz);
create table analytics.signal_builds as select 'b1' as build_id, 'deal_won' as signal, 1::bigint as build_no,
  'captured' as status, false as is_baseline, 'c' as code_version, 'k' as criteria_version,
  timestamp '2026-03-02' as data_as_of, 9::bigint as population, 3000000::bigint as flagged, 3000000::bigint as opened,
  0::bigint as escalated, 0::bigint as resolved, timestamp '2026-03-02' as captured_at,
  timestamp '2026-03-02' as released_at, null::text as held_reason;
"""


@pytest.fixture
def warehouse(prepared_loopctl: Loopctl) -> Iterator[Path]:
    """It has one build of one signal, which brings too many events."""
    file = prepared_project().settings.duckdb_file
    with duckdb.connect(str(file)) as connection:
        connection.execute(TOO_LARGE)
    yield file
    file.unlink()


def refused() -> list[str]:
    around = surroundings()
    return [one.subject for one in ledger_conditions(around.database, around.catalog) if one.kind == BUILD_REFUSED]


def test_it_is_an_incident_until_a_look_finds_nothing_to_refuse(warehouse: Path) -> None:
    for _ in range(2):
        with pytest.raises(BuildRefused, match="brings 3,000,000 events"):
            LedgerDesk().catch_up("deal_won")
        assert detect_all(surroundings(), lambda _: None) == 1
        assert refused() == ["deal_won"]
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("update analytics.signal_builds set released_at = null")
    assert list(LedgerDesk().catch_up("deal_won")) == []
    assert refused() == []
