"""The event capture on Snowflake's protocol: what matters most, and its block when it must not go on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import pytest
import snowflake.connector.errors
from e2e.capture.capture_lab import Flag, Step
from snowflake_lab import SnowflakeLab
from snowflake_server import SnowflakeServer

CHURN = "customer_churn_risk"
SIGNALS = ("customer_churn_risk", "shipment_late", "deal_won")
HELD = "select signal, held_reason from lab.signal_builds where status = 'captured' and released_at is null"
COUNTS = (
    "select (select count(*) from lab.signal_events), (select count(*) from lab.signal_state), "
    "(select count(*) from lab.signal_builds), (select count(*) from lab.signal_state where status = 'open')"
)


@dataclass
class Recording:
    """What happened in the one replay, step by step."""

    lab: SnowflakeLab
    steps: dict[str, Step] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)

    def step(self, name: str, loaded_at: str, selected: tuple[str, ...] = SIGNALS, **flags: list[Flag]) -> None:
        self.lab.land(loaded_at, flags)
        self.steps[name] = self.lab.dbt("build", "--select", *selected)
        self.seen[name] = self.lab.rows(HELD)


@pytest.fixture(scope="module")
def recording(snowflake_server: SnowflakeServer, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    story = Recording(SnowflakeLab(snowflake_server, tmp_path_factory.mktemp("capture_snowflake")))
    start = {CHURN: [Flag("a"), Flag("b", "high")], "shipment_late": [Flag("s1")], "deal_won": [Flag("d1")]}
    story.step("baseline", "2026-02-01 00:00:00", ("*",), **start)
    story.step("same again", "2026-02-01 00:10:00", **start)
    moved = {**start, CHURN: [Flag("a", "critical"), Flag("o'hare 😀", reason="two\nlines")], "deal_won": []}
    story.step("enter, escalate, resolve", "2026-02-01 01:00:00", **moved)
    back = {**moved, CHURN: [Flag("a"), Flag("b")]}
    story.step("re-enter", "2026-02-01 02:00:00", **back)
    story.step("stale", "2026-02-01 01:30:00", (CHURN,), **{CHURN: [Flag("zz")]})
    failing = {**back, "shipment_late": [Flag("s1"), Flag("s2", score="null")]}
    story.step("failing test", "2026-02-01 03:00:00", **failing)
    twice = {**failing, CHURN: [Flag("a"), Flag("a"), Flag("c")]}
    story.step("duplicate id", "2026-02-01 04:00:00", (CHURN,), **twice)
    mended = {**back, CHURN: [Flag("a"), Flag("c")], "shipment_late": [Flag("s1"), Flag("s2")]}
    story.step("mended", "2026-02-01 05:00:00", **mended)
    return story


def events(step: Step) -> list[str]:
    assert step.is_success, step.errors
    return step.events


def test_first_build_is_a_released_baseline(recording: Recording) -> None:
    step = recording.steps["baseline"]
    assert events(step) == [
        f"{CHURN}: a.1 opened:low (baseline)",
        f"{CHURN}: b.1 opened:high (baseline)",
        "deal_won: d1.1 opened:low (baseline)",
        "shipment_late: s1.1 opened:low (baseline)",
    ]
    assert len(step.builds) == 8
    assert all(build["is_baseline"] and build["released_at"] for build in step.builds)


def test_event_ids_are_the_same_as_everywhere(recording: Recording) -> None:
    [(incarnation,)] = recording.lab.rows("select incarnation_id from lab.signal_incarnation")
    [(found,)] = recording.lab.rows(
        "select event_id from lab.signal_events where entity_id = 'a' and kind = 'escalated'"
    )
    assert found == hashlib.md5(f"{incarnation}|{CHURN}|a|1|escalated|critical".encode()).hexdigest()


def test_same_data_again_is_a_build_without_events(recording: Recording) -> None:
    step = recording.steps["same again"]
    assert events(step) == []
    assert {build["status"] for build in step.builds} == {"captured"}


def test_enter_escalate_resolve(recording: Recording) -> None:
    assert events(recording.steps["enter, escalate, resolve"]) == [
        f"{CHURN}: a.1 escalated:critical",
        f"{CHURN}: b.1 resolved",
        f"{CHURN}: o'hare 😀.1 opened:low",
    ]


def test_coming_back_is_a_new_episode(recording: Recording) -> None:
    assert events(recording.steps["re-enter"]) == [f"{CHURN}: b.2 opened:low", f"{CHURN}: o'hare 😀.1 resolved"]


def test_stale_source_captures_nothing_and_says_which(recording: Recording) -> None:
    [build] = recording.steps["stale"].builds
    assert (build["status"], build["build_no"]) == ("skipped_stale", None)
    assert "landing.flag_rows was loaded until 2026-02-01 01:30:00" in build["held_reason"]


def test_failing_test_holds_its_signal_and_names_the_test(recording: Recording) -> None:
    assert recording.steps["failing test"].events == ["shipment_late: s2.1 opened:low"]
    assert recording.seen["failing test"] == [("shipment_late", "test failed: not_null_shipment_late_score")]


def test_duplicate_id_is_refused_and_captures_nothing(recording: Recording) -> None:
    step = recording.steps["duplicate id"]
    assert not step.is_success
    assert (step.events, step.builds) == ([], [])
    [error] = [text for text in step.errors if text.startswith(f"{CHURN}: error")]
    assert '1 row(s) repeat an entity_id (for example "a")' in error


def test_next_good_build_catches_up_and_releases(recording: Recording) -> None:
    assert events(recording.steps["mended"]) == [f"{CHURN}: b.2 resolved", f"{CHURN}: c.1 opened:low"]
    assert recording.seen["mended"] == []


def test_builds_count_what_events_hold(recording: Recording) -> None:
    [(counted, held, ids)] = recording.lab.rows(
        "select (select sum(opened + escalated + resolved) from lab.signal_builds), count(*), count(distinct event_id) "
        "from lab.signal_events"
    )
    assert counted == held == ids


def last_block(lab: SnowflakeLab) -> str:
    """The block of the newest capture of the churn signal that ran."""
    blocks = [sent.sql for sent in lab.server.sent() if "execute immediate" in sent.sql and sent.error is None]
    return [block for block in blocks if f"where signal = '{CHURN}'" in block][-1]


def test_a_capture_that_was_overtaken_rolls_back(recording: Recording) -> None:
    lab = recording.lab
    before = lab.rows(COUNTS)
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="another process captured this signal first"):
        lab.database.run(last_block(lab))
    assert lab.rows(COUNTS) == before


def test_events_without_their_state_are_not_repeated(recording: Recording) -> None:
    lab = recording.lab
    newest = f"signal = '{CHURN}' and build_no = (select max(build_no) from lab.signal_builds where signal = '{CHURN}')"
    lab.database.run(
        f"create table lab.builds_kept as select * from lab.signal_builds where {newest}",
        "create table lab.state_kept as select * from lab.signal_state",
        "delete from lab.signal_builds where build_id in (select build_id from lab.builds_kept)",
        "delete from lab.signal_state where entity_id = 'c'",
    )
    before = lab.rows(COUNTS)
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="signal_events already holds events"):
        lab.database.run(last_block(lab))
    assert lab.rows(COUNTS) == before
    lab.database.run(
        "insert into lab.signal_builds select * from lab.builds_kept", "drop table lab.builds_kept",
        "delete from lab.signal_state", "insert into lab.signal_state select * from lab.state_kept",
        "drop table lab.state_kept",
    )  # fmt: skip


def test_a_fault_at_the_last_statement_leaves_no_trace_and_no_open_transaction(recording: Recording) -> None:
    lab = recording.lab
    before = lab.rows(COUNTS)
    lab.database.run("alter table lab.signal_builds rename column captured_at to captured_away")
    lab.land("2026-02-01 06:00:00", {CHURN: [Flag("fault")]})
    step = lab.dbt("run", "--select", CHURN)
    lab.database.run("alter table lab.signal_builds rename column captured_away to captured_at")
    assert not step.is_success
    assert lab.rows(COUNTS) == before
    after = lab.dbt("build", "--select", CHURN)
    assert after.is_success, after.errors
    assert f"{CHURN}: fault.1 opened:low" in after.events
