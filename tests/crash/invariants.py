"""The loop's promises, held against both sides after a crash: what the ledger says, and what reached the sink."""

from __future__ import annotations

from collections import Counter

from crash_company import HAPPENINGS
from crash_lab import CrashLab

from dagster_project.ledger.schema import actions, attempts, audit, events
from dagster_project.verify.conservation import prove

MAY_REPEAT = {"keyed", "upsert", "found"}  # a call may come again; its effect may not


def check_invariants(lab: CrashLab, in_doubt: bool) -> None:
    """Raises AssertionError, naming the promise.

    Parameters: the lab after its recovery; whether the crash may have left outcomes unknown.
    """
    _conservation(lab)
    _no_loss(lab)
    _once(lab, in_doubt)
    _intent_before_call(lab)
    _order(lab)


def _conservation(lab: CrashLab) -> None:
    with lab.database.reading() as connection:
        broken = [example for proof in prove(connection) for example in proof.examples]
    assert broken == [], "invariant 1"
    delivered = {r.action_id for r in lab.rows(actions, state="delivered") if r.group_id is None}
    arrived = {arrival.key for arrival in lab.arrivals()}
    held = {r.action_id for r in lab.rows(actions, state="held")}
    assert delivered <= arrived, "invariant 1: the ledger calls delivered what the sink has not"
    assert arrived - delivered <= held, "invariant 1: the sink has what the ledger neither delivered nor holds"


def _no_loss(lab: CrashLab) -> None:
    assert {row.event_id for row in lab.rows(events)} == lab.company.all_event_ids(), "invariant 2: an event was lost"
    assert lab.rows(actions, state="dead") == [], "invariant 2: nothing here may die"
    held = lab.rows(actions, state="held")
    assert {row.reason for row in held} <= {"unknown_outcome"}
    lanes = {row.entity_id for row in held if row.entity_id is not None}
    groups = {row.action_id for row in held} | {row.group_id for row in lab.rows(actions) if row.entity_id in lanes}
    for row in lab.rows(actions, state="waiting"):
        waits_rightly = not row.is_ready and (
            row.entity_id in lanes or row.action_id in groups or row.group_id in groups
        )
        assert waits_rightly, f"invariant 2: {row.step} of {row.entity_id} waits for nothing"
    open_attempts = [row for row in lab.rows(attempts) if row.verdict is None]
    assert open_attempts == [], "invariant 2: an attempt was never closed"


def _once(lab: CrashLab, in_doubt: bool) -> None:
    arrivals = lab.arrivals()
    effects = Counter(a.key for a in arrivals if a.is_new)
    calls = Counter(a.key for a in arrivals)
    assert max(effects.values(), default=0) <= 1, "invariant 3: an effect happened twice"
    wanted = lab.company.wanted_keys()
    assert set(effects) <= wanted, "invariant 3: something was done that nobody asked for"
    if not in_doubt:
        assert max(calls.values(), default=0) <= 1, "invariant 3: a call was repeated that was never in doubt"
        assert lab.rows(actions, state="held") == [], "invariant 3: something is held that was never in doubt"
    if lab.kind in MAY_REPEAT or not in_doubt:
        assert set(effects) == wanted, "invariant 3: something was not done"
    if lab.kind in MAY_REPEAT:
        assert max(calls.values()) <= 1 + lab.crashes, (
            "invariant 3: a call was repeated more often than it was in doubt"
        )
    else:
        assert max(calls.values(), default=0) <= 1, "invariant 3: sent again blindly"


def _intent_before_call(lab: CrashLab) -> None:
    tried = Counter(row.action_id for row in lab.rows(attempts))
    calls = Counter(a.key for a in lab.arrivals())
    assert all(tried[key] >= times for key, times in calls.items()), "invariant 4: a call without its intent"
    told = Counter(row.action_id for row in lab.rows(audit, verb="attempted"))
    assert told == tried, "invariant 4: an attempt without its audit row"
    for row in lab.rows(actions):
        if row.state in ("delivered", "held"):
            verbs = [entry.verb for entry in sorted(lab.rows(audit, action_id=row.action_id), key=lambda e: e.seq)]
            assert verbs[0] == "planned" and row.state in verbs, f"invariant 4: {verbs}"


def _order(lab: CrashLab) -> None:
    """Nothing of an entity goes before all that is earlier is done, and no step before the one it needs."""
    keys = [arrival.key for arrival in lab.arrivals() if arrival.is_new]
    place = {key: number for number, key in enumerate(keys)}
    company = lab.company
    for one in HAPPENINGS:
        tell, confirm = (company.action_key(one, step) for step in ("tell", "confirm"))
        assert confirm not in place or place[tell] < place[confirm], "invariant 6: a step before the one it needs"
    opened, risen = HAPPENINGS[1], HAPPENINGS[5]
    rise = company.action_key(risen, "tell_of_rise")
    if rise in place:
        before = [company.action_key(opened, "confirm"), company.group_key(opened.build_no, opened.depot)]
        assert all(place[key] < place[rise] for key in before), "invariant 6: a rise before what it follows"
