"""Random histories through the warehouse and through the reference: the same events, and the same state after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import pytest
from capture_lab import DATABASES, CaptureLab, Flag
from episode_reference import SEVERITIES, EpisodeReference, Event, Patience, Rules
from hypothesis import given
from hypothesis import strategies as st

RULES = {
    "customer_churn_risk": Rules(),
    "product_low_stock": Rules(Patience(builds=2), Patience(builds=2)),
    "invoice_overdue": Rules(Patience(time=timedelta(hours=2)), Patience(time=timedelta(hours=2))),
    "machine_overheating": Rules(Patience(3, timedelta(hours=1)), Patience(2, timedelta(minutes=90))),
    "deal_won": Rules(is_occurrence=True),
}
BUILDS = 9
ENTITIES = 80
PAUSES = [timedelta(0), timedelta(minutes=20), timedelta(minutes=45), timedelta(hours=1), timedelta(hours=3)]


@dataclass(frozen=True)
class Load:
    """One state of the landing table: its age, and who is flagged in which signal how severely."""

    as_of: datetime
    is_stale: bool
    flagged: dict[str, dict[str, str]]


def random_history(seed: int) -> list[Load]:
    """Entities that come, go and change severity at rates of their own; now and then a load from the past."""
    random = Random(seed)
    rates = [(random.random(), random.random()) for _ in range(ENTITIES)]
    now, history = datetime.fromisoformat("2026-03-01"), []
    for _ in range(BUILDS):
        now += random.choice(PAUSES)
        is_stale = bool(history) and random.random() < 0.1
        flagged = {
            signal: {
                f"e{number}": SEVERITIES[int(4 * random.random() * severe)]
                for number, (present, severe) in enumerate(rates)
                if random.random() < present
            }
            for signal in RULES
        }
        history.append(Load(now - timedelta(days=9) if is_stale else now, is_stale, flagged))
    return history


def land(lab: CaptureLab, load: Load) -> None:
    flags = {
        signal: [Flag(entity_id, severity) for entity_id, severity in flagged.items()]
        for signal, flagged in load.flagged.items()
    }
    lab.land(str(load.as_of), flags)


def forget_everything(lab: CaptureLab) -> None:
    """The next build is a baseline again."""
    if lab.rows("select 1 from information_schema.tables where table_name = 'signal_state'"):
        lab.database.run(*(f"delete from lab.signal_{table}" for table in ("builds", "events", "state")))


def new_events(lab: CaptureLab, signal: str, seen: int) -> list[Event]:
    build = f"(select build_id from lab.signal_builds where signal = '{signal}' and build_no = {seen})"
    query = f"select entity_id, episode, kind, severity from lab.signal_events where build_id = {build}"
    return sorted((Event(*row) for row in lab.rows(query)), key=lambda event: event.entity_id)


def known_state(lab: CaptureLab, signal: str) -> set[tuple[str, int, bool]]:
    query = f"select entity_id, episode, status = 'open' from lab.signal_state where signal = '{signal}'"
    return {tuple(row) for row in lab.rows(query)}


# Every history is played every day, on one of the databases.
DAILY = {("duckdb", 0), ("duckdb", 1), ("postgres", 2), ("postgres", 3)}


@pytest.mark.parametrize(
    ("lab", "seed"),
    [
        pytest.param(database, seed, marks=() if (database, seed) in DAILY else (pytest.mark.long,))
        for database in DATABASES
        for seed in range(4)
    ],
    indirect=["lab"],
)
def test_warehouse_and_reference_agree(lab: CaptureLab, seed: int) -> None:
    forget_everything(lab)
    references = {signal: EpisodeReference(rules) for signal, rules in RULES.items()}
    for load in random_history(seed):
        land(lab, load)
        step = lab.dbt("run", "--select", "+" + " +".join(RULES))
        assert step.is_success, step.errors
        for signal, reference in references.items():
            expected = [] if load.is_stale else reference.build(load.as_of, load.flagged[signal])
            found = [] if load.is_stale else new_events(lab, signal, reference.build_no)
            assert found == expected, f"{signal}, build {reference.build_no} of history {seed}"
            assert len(step.builds) == len(RULES)
    for signal, reference in references.items():
        state = {(name, entity.episode, entity.is_open) for name, entity in reference.entities.items()}
        # who was noticed and left before open_after is known to both; who was never flagged to neither
        assert known_state(lab, signal) == state, f"{signal} after history {seed}"


def test_histories_hold_every_kind_of_event_and_a_stale_load() -> None:
    kinds: set[tuple[str, str]] = set()
    stale = 0
    for seed in range(4):
        references = {signal: EpisodeReference(rules) for signal, rules in RULES.items()}
        for load in random_history(seed):
            stale += load.is_stale
            for signal, reference in references.items():
                if not load.is_stale:
                    events = reference.build(load.as_of, load.flagged[signal])
                    kinds |= {(signal, event.kind) for event in events if reference.build_no > 1}
    expected = {(signal, kind) for signal in RULES for kind in ("opened", "escalated", "resolved")}
    assert kinds == expected - {("deal_won", "resolved")}
    assert stale > 0


AS_OF = datetime.fromisoformat("2026-01-01")
flagged_builds = st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from(SEVERITIES)), max_size=12)


@given(flagged_builds, st.integers(1, 3), st.integers(1, 3))
def test_reference_numbers_episodes_and_escalates_upwards_only(
    builds: list[dict[str, str]], open_builds: int, resolve_builds: int
) -> None:
    reference = EpisodeReference(Rules(Patience(open_builds), Patience(resolve_builds)))
    events = [event for flagged in builds for event in reference.build(AS_OF, flagged)]
    for entity_id in "abc":
        episode, peak, is_open = 0, "", False
        for event in (event for event in events if event.entity_id == entity_id):
            assert is_open is (event.kind != "opened")
            episode += event.kind == "opened"
            assert event.episode == episode
            if event.kind == "escalated":
                assert SEVERITIES.index(event.severity) > SEVERITIES.index(peak)
            if event.kind == "resolved":
                assert event.severity == peak
            is_open, peak = event.kind != "resolved", event.severity
