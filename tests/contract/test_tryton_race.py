"""Eight processes race to make one order in a real Tryton; one order is left, and the ledger tells the story."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from contract_report import RACE, ContractReport
from delivery_bench import SIGNAL, action_of, build_of, catalog_with, one_step
from erp_under_test import ORDER, Erp, order_request, real_erp
from lossy_proxy import Exchange, LossyProxy, Treatment, lossy_proxy
from racers import Racer, racing
from sqlalchemy import Row, select
from tryton_server import TrytonServer

from dagster_project.ledger.database import open_database
from dagster_project.ledger.intake import take_in
from dagster_project.ledger.schema import actions, attempts
from dagster_project.respond.bindings import bind_roles, operations_of
from dagster_project.respond.destinations.tryton import Tryton
from dagster_project.settings import Settings
from dagster_project.verify.explain import explain

FIND = "model.purchase.purchase.search"
CREATE = "model.purchase.purchase.create"
NAMES = [f"racer-{number}" for number in range(8)]
STOPPED = NAMES[0]
WAIT_SECONDS = 60.0


@pytest.fixture(scope="module")
def real(tryton_server: TrytonServer) -> Erp:
    return real_erp(tryton_server)


@pytest.fixture
def proxy(real: Erp) -> Iterator[LossyProxy]:
    with lossy_proxy(real.url) as running:
        yield running


def loses(exchange: Exchange) -> Treatment | None:
    """The first create of three processes loses its reply, that of a fourth never arrives, a fifth loses its look."""
    if (exchange.method, exchange.number) == (CREATE, 1):
        if exchange.client in NAMES[1:4]:
            return Treatment(loses_reply=True)
        return Treatment(loses_request=True) if exchange.client == NAMES[4] else None
    is_second_look = (exchange.method, exchange.number) == (FIND, 2)
    return Treatment(loses_reply=True) if is_second_look and exchange.client == NAMES[5] else None


@pytest.mark.parametrize("deadline", [60.0, 4.0], ids=["stopped within its deadline", "stopped beyond its deadline"])
def test_eight_connectors_find_nothing_at_once_and_leave_one_order(
    real: Erp, proxy: LossyProxy, deadline: float, contract_report: ContractReport
) -> None:
    key = f"race-{deadline:g}"
    real.deliver(ORDER, order_request("race-master-data"))  # the race is about the order, not the supplier
    with racing("racing_connector.py", NAMES) as racers:
        stopped_at = meet_at_the_find(real, proxy, racers, key, deadline)
        others = [racer.results() for racer in racers[1:]]
        assert len(real.living_orders(key)) == 1
        # longer than the deadline where the test is about that; the connector measures with the same clock
        time.sleep(max(0.0, stopped_at() + deadline + 0.5 - time.monotonic()) if deadline < 10 else 0.0)
        racers[0].go_on()
        stopped = racers[0].results()
    (order,) = real.living_orders(key)
    assert {results[-1]["verdict"] for results in [*others, stopped]} == {"delivered"}
    assert {results[-1]["external_id"] for results in [*others, stopped]} == {str(order)}
    creates = [exchange.client for exchange in proxy.exchanges if exchange.method == CREATE]
    assert creates.count(STOPPED) == (1 if deadline > 10 else 0)
    assert len(real.orders(key)) > 4  # they did race: most of them made an order of their own
    assert [results[0]["verdict"] for results in others[:5]] == ["unknown"] * 5
    left = f"{len(real.living_orders(key))} of those that were made; every process names it"
    made = "makes one more and cancels it" if creates.count(STOPPED) else "makes none"
    place = "within" if deadline > 10 else "beyond"
    contract_report.row(RACE, [f"connectors, one stopped {place} its deadline"], [left, made, "has no part in it"])


def meet_at_the_find(
    real: Erp, proxy: LossyProxy, racers: list[Racer], key: str, deadline: float
) -> Callable[[], float]:
    """Lets all of them find nothing and stops the first one at that moment, which it gives once it has come.

    It begins when the others have arrived, so that its deadline is not spent on waiting for them.
    """
    moments: list[float] = []

    def stop() -> None:
        racers[0].stop()
        moments.append(time.monotonic())

    meeting = threading.Barrier(len(racers), action=stop, timeout=WAIT_SECONDS)
    arrived = threading.Semaphore(0)

    def meet() -> None:
        arrived.release()
        meeting.wait()

    def rule(exchange: Exchange) -> Treatment | None:
        is_first_look = (exchange.method, exchange.number) == (FIND, 1)
        return Treatment(before_the_reply=meet) if is_first_look else loses(exchange)

    proxy.rule = rule
    for racer in racers:
        own = {"base_url": proxy.address_for(racer.name), "call_deadline": deadline if racer.name == STOPPED else 60.0}
        racer.tell(json.dumps({"settings": {**real.settings, **own}, "key": key, "at_most": 6}))
    for racer in racers:
        racer.await_ready()
    for racer in racers[1:]:
        racer.tell("go")
    for _ in racers[1:]:
        assert arrived.acquire(timeout=WAIT_SECONDS)
    racers[0].tell("go")
    return lambda: moments[0]


class LedgerRace:
    """A ledger with one action due, and the clock that all of its runs share."""

    def __init__(self, folder: Path, proxy: LossyProxy, real: Erp) -> None:
        self.url = f"sqlite:///{folder / 'ledger.sqlite'}"
        self.clock_file, self.catalog_file = folder / "clock", folder / "catalog.json"
        self.move_clock(0.0)
        arguments = order_request("").arguments.model_dump(mode="json", exclude_none=True)
        self.catalog = catalog_with(one_step("erp", ORDER, arguments))
        self.catalog_file.write_text(self.catalog.model_dump_json(by_alias=True))
        self.environment = {name: self._environment(name, proxy, real) for name in NAMES}
        self.database = open_database(self.url)
        bound = operations_of(self.catalog.signal(SIGNAL).version, bind_roles(Settings(_env_file=None)))
        build, events = build_of(["product-1"], datetime.now(UTC))
        take_in(self.database, build, events, self.catalog.signal(SIGNAL), bound, is_baseline=False)

    def _environment(self, name: str, proxy: LossyProxy, real: Erp) -> dict[str, str]:
        settings = {**real.settings, "base_url": proxy.address_for(name), "call_deadline": 60.0}
        return {
            "LOOP_LEDGER_URL": self.url,
            "LOOP_LEASE_SECONDS": "300",
            "LOOP_RETRY_BASE_SECONDS": "1",
            **{f"LOOP_DESTINATIONS__TRYTON__{field.upper()}": str(value) for field, value in settings.items()},
        }

    def move_clock(self, ahead: float) -> None:
        """The ledger's moment becomes the real one and so many seconds."""
        fresh = self.clock_file.with_suffix(".new")
        fresh.write_text(str(ahead))
        fresh.replace(self.clock_file)

    def action(self) -> Row[Any]:
        with self.database.reading() as connection:
            return connection.execute(select(actions)).one()

    def attempts(self) -> list[Row[Any]]:
        with self.database.reading() as connection:
            return list(connection.execute(select(attempts).order_by(attempts.c.number)))

    def await_attempts(self, closed: int) -> Row[Any]:
        """Waits until so many attempts are closed; gives the action as it is then."""
        until = time.monotonic() + WAIT_SECONDS
        while sum(row.verdict is not None for row in self.attempts()) < closed:
            assert time.monotonic() < until, self.attempts()
            time.sleep(0.02)
        return self.action()

    def story(self) -> list[str]:
        with self.database.reading() as connection:
            return [line.text for line in explain(connection, self.catalog, action_of("product-1"))]


@pytest.fixture
def race(tmp_path: Path, proxy: LossyProxy, real: Erp) -> Iterator[LedgerRace]:
    ledger_race = LedgerRace(tmp_path, proxy, real)
    yield ledger_race
    ledger_race.database.close()


def test_eight_action_runs_make_one_order_and_the_ledger_tells_the_story(
    real: Erp, proxy: LossyProxy, race: LedgerRace, contract_report: ContractReport
) -> None:
    arguments = [str(race.catalog_file), str(race.clock_file)]
    with racing("racing_run.py", NAMES, arguments, race.environment) as racers:
        for racer in racers:
            racer.await_ready()
        stop_the_first_between_find_and_create(proxy, racers)
        for racer in racers[1:]:
            racer.tell("go")
        wait_out_what_nobody_knows(race)
        others = [result for racer in racers[1:] for result in racer.results()]
        racers[0].go_on()
        (zombie,) = racers[0].results()
    assert zombie == {"run": f"{STOPPED}-1", "states": {}, "zombies": 1}
    assert [result["states"] for result in others].count({"delivered": 1}) == 1
    assert_one_order_is_left(real, race)
    assert_the_story_is_whole(real, race)
    left = f"{len(real.living_orders(race.action().action_id))}, the one that the ledger names"
    story = ", ".join(f"attempt {row.number} {row.verdict}" for row in race.attempts())
    told = "makes one more, cancels it, and closes its own attempt alone"
    contract_report.row(RACE, ["action runs on one ledger, one stopped until its lease is over"], [left, told, story])


def stop_the_first_between_find_and_create(proxy: LossyProxy, racers: list[Racer]) -> None:
    """The first process has found nothing and is frozen before it can read the answer; the others lose replies."""
    is_stopped = threading.Event()

    def stop() -> None:
        racers[0].stop()
        is_stopped.set()

    creates: list[str] = []

    def rule(exchange: Exchange) -> Treatment | None:
        if exchange.client == STOPPED:
            return Treatment(before_the_reply=stop) if (exchange.method, exchange.number) == (FIND, 1) else None
        if exchange.method == CREATE:
            creates.append(exchange.client)
            return Treatment(loses_request=len(creates) == 1, loses_reply=len(creates) == 2)
        return None

    proxy.rule = rule
    racers[0].tell("go")
    assert is_stopped.wait(WAIT_SECONDS)


def wait_out_what_nobody_knows(race: LedgerRace) -> None:
    """Moves the clock past the lease of the frozen run, then past the server's limit after each unknown outcome."""
    assert [(row.number, row.verdict) for row in race.attempts()] == [(1, None)]
    ahead = 301.0
    for closed in (1, 2, 3):
        race.move_clock(ahead)
        action = race.await_attempts(closed)
        assert (action.state, action.reason, action.lease_token) == ("waiting", "reply_lost", None)
        due_in = (action.due_at - (datetime.now(UTC) + timedelta(seconds=ahead))).total_seconds()
        assert due_in > Tryton.server_limit - 10
        ahead += due_in + 1
    race.move_clock(ahead)


def assert_one_order_is_left(real: Erp, race: LedgerRace) -> None:
    action = race.action()
    orders = real.orders(action.action_id)
    assert [order["state"] for order in orders] == ["draft", "cancelled"]  # the second is the frozen run's
    assert (action.state, action.external_id) == ("delivered", str(orders[0]["id"]))


def assert_the_story_is_whole(real: Erp, race: LedgerRace) -> None:
    found = [(row.number, row.verdict, row.reason) for row in race.attempts()]
    assert found == [
        (1, "delivered", ""),  # what the frozen run learnt in the end replaces what was assumed of it
        (2, "unknown", "reply_lost"),
        (3, "unknown", "reply_lost"),
        (4, "delivered", ""),
    ]
    first, last = race.attempts()[0], race.attempts()[-1]
    assert first.run_id == f"{STOPPED}-1" and not last.run_id.startswith(STOPPED)
    story = "\n".join(race.story())
    cancelled = real.orders(race.action().action_id)[1]["id"]
    assert f"attempt 1 by run {STOPPED}-1: delivered" in story
    assert f"removed 1 duplicate order(s): {cancelled}" in story
    assert "the run ended before an answer was recorded" in story
    assert f"attempt 4 by run {last.run_id}: delivered" in story
    assert story.count("reply_lost") >= 4
