"""Several processes work on one ledger at once, and some are zombies: they wake when their lease is another's."""

from __future__ import annotations

import signal

import pytest
from crash_lab import LONG_LEASE_SECONDS, CrashLab, MakeLab, RunProcess
from invariants import check_invariants

from dagster_project.ledger.schema import actions

HOUR = 3600.0


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
@pytest.mark.parametrize("kind", ["keyed", "unkeyed"])
def test_two_passes_and_four_runs_at_once_do_everything_once(make_lab: MakeLab, database: str, kind: str) -> None:
    lab = make_lab(kind, database, lease_seconds=LONG_LEASE_SECONDS, more_environment={"LOOP_CLAIM_LIMIT": "2"})
    together = [lab.start(mode) for mode in ("detect", "detect", "recover", "recover", "recover", "recover")]
    assert [process.ended() for process in together] == [0] * 6, together[0].said()
    lab.recover()
    check_invariants(lab, in_doubt=False)


def _let_another_take_over(lab: CrashLab, zombie: RunProcess) -> None:
    """The zombie's lease ends, others do what there is to do, and it wakes: what it then does changes no action."""
    lab.until_leases_end()
    lab.recover()
    before = lab.rows(actions)
    zombie.signal(signal.SIGCONT)
    assert zombie.ended() == 0, zombie.said()
    lab.crashes += 1
    assert sorted(lab.rows(actions)) == sorted(before), "a zombie may close its own attempt and nothing else"


@pytest.mark.parametrize("kind", ["keyed", "unkeyed", "upsert"])
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
def test_a_zombie_that_was_answered_changes_nothing_any_more(make_lab: MakeLab, database: str, kind: str) -> None:
    lab = make_lab(kind, database)
    lab.run("detect")
    _let_another_take_over(lab, lab.stopped_at("act", "reply_received"))
    check_invariants(lab, in_doubt=True)


@pytest.mark.parametrize("point", ["claimed", "rendered"])
def test_a_zombie_that_had_not_begun_sends_nothing(make_lab: MakeLab, point: str) -> None:
    lab = make_lab("unkeyed")
    lab.run("detect")
    _let_another_take_over(lab, lab.stopped_at("act", point))
    check_invariants(lab, in_doubt=False)


def test_a_zombie_begins_no_call_after_its_lease(make_lab: MakeLab) -> None:
    """A person may have looked meanwhile, seen nothing at the destination, and sent it by a word of theirs."""
    lab = make_lab("unkeyed")
    lab.run("detect")
    zombie = lab.stopped_at("act", "intent_written")
    lab.until_leases_end()
    lab.recover()
    before = len(lab.arrivals())
    zombie.signal(signal.SIGCONT)
    zombie.ended()
    assert len(lab.arrivals()) == before


def test_a_zombie_finds_what_the_other_created(make_lab: MakeLab) -> None:
    lab = make_lab("found", lease_seconds=LONG_LEASE_SECONDS)
    lab.run("detect")
    zombie = lab.stopped_at("act", "intent_written")
    lab.recover(ahead_seconds=HOUR)
    zombie.signal(signal.SIGCONT)
    assert zombie.ended() == 0, zombie.said()
    check_invariants(lab, in_doubt=True)
