"""A poison row delays no other, a destination that asks to wait is not called, a wave delays no critical case."""

from __future__ import annotations

from collections.abc import Callable

from isolation_bench import CRM, HOOK, OTHER_HOOK, IsolationBench, Parcel

from dagster_project.contracts.vocabulary import Severity
from dagster_project.ledger.schema import destinations
from dagster_project.sandbox.faults import Fault, FaultKind

MakeBench = Callable[..., IsolationBench]
HOOKS = {"vendor": "hooks"}


def _poisoned(count: int) -> list[Parcel]:
    """Three of ten are poison: the receiver answers each of their calls with a 500."""
    return [Parcel(f"{'poison' if number % 10 < 3 else 'sound'}-{number}") for number in range(count)]


def test_rows_that_always_fail_delay_no_other_row(bench_with: MakeBench) -> None:
    bench = bench_with(circuit_opens_after=1_000_000)
    bench.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=500, body='"subject":"poison', **HOOKS))
    parcels = _poisoned(200)
    bench.flag(HOOK, parcels)
    while bench.due(HOOK):
        bench.run(HOOK)
    sound = {parcel.name for parcel in parcels if parcel.name.startswith("sound")}
    assert set(bench.told()) == sound
    assert len(bench.told()) == len(sound)
    states = {row.entity_id: row for row in bench.rows(HOOK)}
    assert {states[name].state for name in sound} == {"delivered"}
    poison = [row for name, row in states.items() if name not in sound]
    assert {(row.state, row.attempts) for row in poison} == {("waiting", 1)}, "each was tried once and waits its turn"


def _circuit(bench: IsolationBench, destination: str) -> tuple[int, bool]:
    with bench.around.database.reading() as connection:
        row = connection.execute(destinations.select().where(destinations.c.destination == destination)).one()
    return row.failures, row.open_until is not None


def _hook_calls(bench: IsolationBench) -> int:
    return sum(row["count"] for row in bench.sandbox.control.requests() if row["vendor"] == "hooks")


def test_an_outage_told_by_503_burns_no_attempt_of_what_may_be_repeated(bench_with: MakeBench) -> None:
    bench = bench_with(circuit_opens_after=3, circuit_base_seconds=20.0)
    bench.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=503, **HOOKS))
    bench.flag(HOOK, [Parcel(f"p{number}") for number in range(60)])
    bench.run(HOOK)
    assert _circuit(bench, "webhook")[1]
    assert {(row.state, row.attempts) for row in bench.rows(HOOK)} == {("waiting", 0)}


def test_a_429_slows_the_whole_destination_and_burns_no_attempt(bench_with: MakeBench) -> None:
    bench = bench_with(in_flight_calls=1)
    limited = bench.sandbox.faults.add(Fault(kind=FaultKind.RATE_LIMIT, seconds=40, skip=5, **HOOKS))
    bench.flag(HOOK, [Parcel(f"p{number:02}") for number in range(20)])
    bench.run(HOOK)
    assert len(bench.told()) == 5
    assert [row.attempts for row in bench.rows(HOOK) if row.state == "waiting"] == [0] * 15
    assert _hook_calls(bench) == 6, "one 429 is enough for the whole destination"

    bench.sandbox.faults.remove(limited)
    bench.ahead_seconds += 39
    assert bench.due(HOOK) == 0, "Retry-After is honoured"
    bench.run(HOOK)
    assert len(bench.told()) == 5
    bench.ahead_seconds += 2
    while bench.due(HOOK):
        bench.run(HOOK)
    assert sorted(bench.told()) == [f"p{number:02}" for number in range(20)]
    assert not _circuit(bench, "webhook")[1], "a 429 is no failure"


def test_a_429_holds_for_later_steps_and_for_runs_of_other_signals(bench_with: MakeBench) -> None:
    bench = bench_with(in_flight_calls=1)
    limited = bench.sandbox.faults.add(Fault(kind=FaultKind.RATE_LIMIT, seconds=40, skip=5, **HOOKS))
    bench.flag(OTHER_HOOK, [Parcel(f"p{number}") for number in range(8)])
    bench.flag(HOOK, [Parcel(f"q{number}") for number in range(8)])
    bench.run(OTHER_HOOK)  # five of the first step are told; the rest of it and the second step are not begun
    bench.run(HOOK)
    assert _hook_calls(bench) == 6, "one 429 is enough, whoever would call next"
    assert {row.attempts for signal in (HOOK, OTHER_HOOK) for row in bench.rows(signal) if row.state == "waiting"} == {
        0
    }

    bench.sandbox.faults.remove(limited)
    bench.ahead_seconds += 41
    while bench.due(HOOK) + bench.due(OTHER_HOOK):
        bench.run(HOOK)
        bench.run(OTHER_HOOK)
        bench.ahead_seconds += 1
    assert sorted(bench.told()) == sorted([*(2 * [f"p{n}" for n in range(8)]), *(f"q{n}" for n in range(8))])


def test_a_wave_delays_a_critical_case_of_its_signal_by_no_more_than_a_batch(bench_with: MakeBench) -> None:
    """The case comes while the wave is under way; runs are as large as the claim limit."""
    bench = bench_with(claim_limit=50)
    bench.flag(HOOK, [Parcel(f"wave-{number}") for number in range(300)])
    bench.run(HOOK)
    bench.flag(HOOK, [Parcel("critical", Severity.CRITICAL)], build_no=2)
    before = len(bench.told())
    while bench.due(HOOK):
        bench.run(HOOK)
    told = bench.told()
    assert len(told) == 301
    assert told.index("critical") - before <= bench.around.settings.claim_limit


def test_a_wave_of_another_signal_delays_nothing(bench_with: MakeBench) -> None:
    """Runs of both signals take turns, as their sensors would ask for them."""
    bench = bench_with(claim_limit=50)
    bench.flag(HOOK, [Parcel(f"wave-{number}") for number in range(300)])
    bench.run(HOOK)
    bench.flag(CRM, [Parcel("critical", Severity.CRITICAL)])
    bench.run(CRM)
    assert bench.assigned() == 1
    assert len(bench.told()) == bench.around.settings.claim_limit
