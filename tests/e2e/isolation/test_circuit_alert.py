"""A destination that is down is told of once, elsewhere; its work waits unburnt and drains by itself at its rate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from isolation_bench import CRM, HOOK, IsolationBench, Parcel

from dagster_project.ledger.schema import alert_messages, attempts, audit, destinations, incidents
from dagster_project.respond.pacing import BLOCK_SECONDS
from dagster_project.sandbox.server import SandboxServer
from dagster_project.verify.alert_delivery import watch
from dagster_project.verify.alerting import CIRCUIT_OPEN

MakeBench = Callable[..., IsolationBench]
BINDINGS = {"hook": "webhook", "crm": "hubspot", "mail": "email", "chat": "slack"}
PARCELS = [f"p{number:03}" for number in range(60)]
CALLS_PER_SECOND = 20
LOOKS = 10


def _told_of_circuit(bench: IsolationBench) -> list[str]:
    """The phases of the circuit's incident, as they reached the mail's server."""
    with bench.around.database.reading() as connection:
        mine = alert_messages.c.incident_id == incidents.c.incident_id
        rows = connection.execute(
            alert_messages.join(incidents, mine)
            .select()
            .where(incidents.c.kind == CIRCUIT_OPEN)
            .order_by(alert_messages.c.made_at)
        ).all()
    arrived = [effect.idempotency_key for effect in bench.sandbox.effects("smtp")]
    assert all(arrived.count(row.message_id) <= 1 for row in rows), "told twice"
    return [row.phase for row in rows if row.message_id in arrived]


def _is_open(bench: IsolationBench) -> bool:
    with bench.around.database.reading() as connection:
        (row,) = connection.execute(destinations.select().where(destinations.c.destination == "webhook")).all()
    return row.open_until is not None


def _outage(bench: IsolationBench) -> None:
    """Hours in which runs are asked for whenever something is due, and somebody looks after each."""
    for _ in range(LOOKS):
        if bench.due(HOOK):
            bench.run(HOOK)
        assert not _is_open(bench) or bench.due(HOOK) == 0, "nothing asks for a run while the circuit is open"
        watch(bench.around)
        bench.ahead_seconds += 1000


def test_an_open_circuit_is_one_alert_elsewhere_and_its_backlog_drains_by_itself(
    bench_with: MakeBench, receiver: SandboxServer
) -> None:
    bench = bench_with(
        receiver, calls_per_second=CALLS_PER_SECOND, circuit_opens_after=3, circuit_base_seconds=20.0,
        in_flight_calls=4, bindings=BINDINGS, alert_email="operators@example.com",
    )  # fmt: skip
    receiver.stop()
    bench.flag(HOOK, [Parcel(name) for name in PARCELS])
    _outage(bench)
    assert _is_open(bench)
    assert _told_of_circuit(bench) == ["opened"], "one outage, one alert"
    assert {(row.state, row.attempts) for row in bench.rows(HOOK)} == {("waiting", 0)}, "no attempt is burnt"
    bench.flag(CRM, [Parcel(name) for name in PARCELS])
    bench.run(CRM)
    assert bench.assigned() == len(PARCELS), "the other destination goes on"
    calls_while_down = _calls(bench)
    assert calls_while_down <= LOOKS * bench.around.settings.in_flight_calls, "a closed way is only tried now and then"

    receiver.start()
    bench.ahead_seconds += bench.around.settings.circuit_cap_seconds + 1
    while bench.due(HOOK):
        bench.run(HOOK)
        bench.ahead_seconds += 1  # what a run did not begin waits a little before its next turn
    watch(bench.around)
    watch(bench.around)
    assert sorted(bench.told()) == PARCELS
    assert _told_of_circuit(bench) == ["opened", "resolved"]
    assert _circuit_verbs(bench) == ["circuit_opened", "circuit_closed"]
    # Calls that a slow machine held up may arrive together: those in flight, and the places that were taken ahead.
    held_up = bench.around.settings.in_flight_calls + int(CALLS_PER_SECOND * BLOCK_SECONDS)
    assert _most_in_a_second(bench) <= CALLS_PER_SECOND + held_up


def _calls(bench: IsolationBench) -> int:
    """Attempts that were sent, or would have been had somebody listened."""
    with bench.around.database.reading() as connection:
        sent = (attempts.c.destination == "webhook", attempts.c.reason != "not_sent")
        return len(connection.execute(attempts.select().where(*sent)).all())


def _circuit_verbs(bench: IsolationBench) -> list[str]:
    with bench.around.database.reading() as connection:
        verbs = connection.execute(audit.select().where(audit.c.verb.like("circuit_%")).order_by(audit.c.seq)).all()
        (row,) = connection.execute(destinations.select().where(destinations.c.destination == "webhook")).all()
    assert (row.failures, row.open_until) == (0, None)
    return [verb.verb for verb in verbs]


def _most_in_a_second(bench: IsolationBench) -> int:
    """The most deliveries in any second; a delivery is at most its flight later than its place."""
    deliveries = (bench.receiver or bench.sandbox).control.hook_deliveries(bench.hook)
    times = sorted(datetime.fromisoformat(row["received_at"]).timestamp() for row in deliveries)
    return max(sum(1 for other in times if 0 <= other - one < 1.0) for one in times)
