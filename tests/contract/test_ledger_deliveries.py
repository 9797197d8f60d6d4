"""From a flagged row to the destination and back into the ledger, with everything that can happen on the way."""

from __future__ import annotations

import base64
import json
import logging
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from contract_report import DELIVERY, ContractReport
from delivery_bench import DeliveryBench, action_of, catalog_with, one_step
from delivery_cases import CASES, KITS, SAFE, DeliveryCase, DeliveryKit, Told
from pydantic import SecretStr

from dagster_project.contracts.destination import Connection, Destination, IdempotencyClass, Outcome, Request
from dagster_project.ledger.controls import Person, resume
from dagster_project.respond.bindings import Binding
from dagster_project.respond.destinations.registry import discover
from dagster_project.sandbox.effects import Effect
from dagster_project.sandbox.faults import Fault, FaultKind
from dagster_project.sandbox.server import SandboxServer
from dagster_project.settings import Settings

WRONG_SECRET = "wr0ng-cr3dential-77"
FIRST_RUN = timedelta(hours=-1)  # the ledger's clock then; later it is the real one, so that every wait is over
PLAYED = [(kit, case) for kit in KITS for case in CASES if case.name not in kit.lacks]
each_play = pytest.mark.parametrize(
    ("kit", "case"), PLAYED, ids=[f"{kit.name}-{kit.title}-{case.name}" for kit, case in PLAYED]
)


@dataclass
class Play:
    """One case as it is played: the bench, the sandbox, and the connections before and after things are mended."""

    kit: DeliveryKit
    case: DeliveryCase
    sandbox: SandboxServer
    bench: DeliveryBench
    healthy: Binding

    def mend(self) -> None:
        """What a person does: the right credential, the destination up again, the pause lifted."""
        self.sandbox.faults.clear()
        self.bench.binding = self.healthy
        for subject in self.bench.paused():
            resume(self.bench.database, subject, Person("tests", "mended"))
        self.bench.clock.ahead = timedelta(0)

    def effects(self, entity: str) -> list[Effect]:
        """The records that were made for the entity's action, those of a repeat included."""
        made = [one for one in self.sandbox.effects(self.kit.vendor) if one.is_created]
        keys = {action_of(entity), entity}
        return [
            one for one in made if one.record.startswith(self.kit.record) and keys & {one.idempotency_key, one.entity}
        ]

    def held_at_the_destination(self, entity: str) -> int:
        """Effects: a receiver that honours the id of a signed event counts a repeat once."""
        made = self.effects(entity)
        return len({one.idempotency_key for one in made}) if self.kit.name == "webhook" else len(made)


def settings() -> Settings:
    return Settings(_env_file=None, retry_base_seconds=1.0)


def connection_for(kit: DeliveryKit, sandbox: SandboxServer, **changed: Any) -> Connection:
    kind = discover()[kit.name]
    sandboxed = kind.sandbox_connection(sandbox.address).model_dump()
    return kind.connection_type.model_validate({**sandboxed, **kit.settings, **changed})


def secrets_of(connection: Connection) -> list[str]:
    values = [getattr(connection, name) for name in type(connection).model_fields]
    return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]


def binding_for(kit: DeliveryKit, connection: Connection, connector: type[Destination] | None = None) -> Binding:
    kind = connector or discover()[kit.name]
    return Binding(kind.role, kind, connection, is_sandbox=True)


def broken(healthy: Binding, secret: str) -> type[Destination]:
    """A connector with a defect, whose exception tells a secret."""
    kind = type(healthy.open())

    async def call(_self: Any, _operation: str, _requests: Sequence[Request]) -> Sequence[Outcome]:
        raise KeyError(f"no such thing: {secret}")

    return type(f"Broken{kind.__name__}", (kind,), {"call": call})


@pytest.fixture
def play(kit: DeliveryKit, case: DeliveryCase, sandbox: SandboxServer, tmp_path: Path) -> Iterator[Play]:
    healthy = binding_for(kit, connection_for(kit, sandbox, call_deadline=case.call_deadline))
    step = one_step(healthy.role, kit.operation, kit.arguments)
    bench = DeliveryBench(tmp_path / "ledger.sqlite", catalog_with(step), healthy, settings())
    bench.clock.ahead = FIRST_RUN
    played = Play(kit, case, sandbox, bench, healthy)
    bench.binding = first_binding(played)
    yield played
    bench.close()


def first_binding(play: Play) -> Binding:
    """Makes what is to happen happen; gives the binding of the first run."""
    kit, case = play.kit, play.case
    secret = secrets_of(play.healthy.connection)[0]
    faults: dict[str, Callable[[], Mapping[str, Any] | None]] = {
        "expired": lambda: {"times": 1, **kit.expired},
        "refused": lambda: {**kit.refusal, **telling(kit.refusal, secret)},
        "failing": lambda: {"times": 1, **kit.failure, **telling(kit.failure, secret)},
        "wrong_secret": lambda: kit.no_sign_in and {**kit.no_sign_in, **telling(kit.no_sign_in, secret)},
    }
    fault = case.fault or faults.get(case.happening, lambda: None)()
    if fault:
        play.sandbox.faults.add(Fault(vendor=kit.vendor, operation=kit.effect, **fault))
    if case.happening == "wrong_secret" and not kit.no_sign_in:
        changed = {kit.secret: WRONG_SECRET}
        return binding_for(kit, connection_for(kit, play.sandbox, **changed))
    if case.happening == "unreachable":
        return binding_for(kit, elsewhere(kit, play.sandbox))
    if case.happening == "broken":
        return binding_for(kit, play.healthy.connection, broken(play.healthy, secret))
    return play.healthy


def telling(fault: Mapping[str, Any], secret: str) -> Mapping[str, Any]:
    """Makes the destination's own words repeat a secret, as debugging proxies do."""
    if fault["kind"] is FaultKind.VENDOR_ERROR:
        return {"code": f"refused {secret}"}
    return {"reply": f"broken by {secret}"}


def elsewhere(kit: DeliveryKit, sandbox: SandboxServer) -> Connection:
    """A connection to a port that nobody listens on."""
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    if kit.name == "email":
        return connection_for(kit, sandbox, port=port)
    name = "url" if kit.name == "webhook" else "base_url"
    return connection_for(kit, sandbox, **{name: f"http://127.0.0.1:{port}/"})


@each_play
def test_one_action(play: Play, contract_report: ContractReport, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = play.case.told(play.kit)
    play.bench.flag("e-1")
    play.bench.run()
    outcome = assert_first_attempt(play, told)
    assert_state(play, told.ledger)
    assert_destination(play, told)
    assert play.held_at_the_destination("e-1") == told.holds
    play.mend()
    while play.bench.run() or play.bench.run():
        pass  # one run asks about what nobody knows, the next one sends what was not done
    assert_state(play, told.later)
    assert play.held_at_the_destination("e-1") == told.later_holds
    assert_no_secret(play, caplog.text)
    key = (play.kit.name, play.kit.title, play.case.name)
    values = (outcome, ledger_told(told), str(told.holds), told.later, str(told.later_holds))
    contract_report.row(DELIVERY, key, values)


def assert_first_attempt(play: Play, told: Told) -> str:
    (attempt,) = play.bench.attempts("e-1")
    outcome = " ".join(part for part in (attempt.verdict, attempt.reason) if part)
    assert outcome == told.outcome, attempt.detail
    assert attempt.is_counted == told.is_counted
    assert attempt.ended_at is not None and len(attempt.detail) <= 500
    assert play.bench.action("e-1").attempts == int(told.is_counted)
    return outcome


def assert_state(play: Play, expected: str) -> None:
    action = play.bench.action("e-1")
    assert " ".join(part for part in (action.state, action.reason) if part) == expected, action.detail
    assert (action.external_id is not None) == (action.state == "delivered")
    assert action.lease_token is None or action.state != "waiting"


def assert_destination(play: Play, told: Told) -> None:
    """The pause, the circuit's count and the wait that was asked for."""
    assert play.bench.paused() == ([f"destination:{play.kit.name}"] if told.pauses else [])
    row = play.bench.destination()
    assert (row.failures if row else 0) == int(told.fails_the_destination)
    if play.case.retry_after is None or told.outcome != "retry rate_limited":
        assert row is None or row.not_before is None
        return
    least, most = play.case.retry_after
    assert row is not None
    waits = [
        (until - play.bench.clock()).total_seconds() for until in (row.not_before, play.bench.action("e-1").due_at)
    ]
    assert all(least - 5 <= wait <= most for wait in waits), waits


def ledger_told(told: Told) -> str:
    more = [
        *([] if told.is_counted else ["no attempt is burnt"]),
        *(["the destination is paused"] if told.pauses else []),
        *(["one failure towards its circuit"] if told.fails_the_destination else []),
    ]
    return "; ".join([told.ledger, *more])


def assert_no_secret(play: Play, logged: str) -> None:
    """In no table, no log and nothing that the run says; as it is, as JSON and in base 64."""
    on_disk = play.bench.bytes_on_disk()
    texts = [logged, *play.bench.said]
    for secret in [*secrets_of(play.healthy.connection), WRONG_SECRET]:
        for spelling in (secret, json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode()):
            assert spelling.encode() not in on_disk
            assert not [text for text in texts if spelling in text]


def hubspot_play(sandbox: SandboxServer, folder: Path, **fault: Any) -> Play:
    """Two contacts in one batch, of which one meets a fault."""
    kit, case = KITS[0], CASES[0]
    healthy = binding_for(kit, connection_for(kit, sandbox))
    catalog = catalog_with(one_step(healthy.role, kit.operation, kit.arguments))
    bench = DeliveryBench(folder / "ledger.sqlite", catalog, healthy, settings())
    bench.clock.ahead = FIRST_RUN
    sandbox.faults.add(Fault(vendor="hubspot", operation=kit.effect, times=1, share=0.5, **fault))
    return Play(kit, case, sandbox, bench, healthy)


INVALID = "invalid_request"
NOT_TOLD = "missing_from_reply"


BATCH_CASES = [
    ("part of a batch is refused", "partial", f"rejected {INVALID}", f"dead {INVALID}", 0, f"dead {INVALID}", 0),
    ("part of a batch is not told", "missing", f"unknown {NOT_TOLD}", f"waiting {NOT_TOLD}", 1, "delivered", 1),
]


@pytest.mark.parametrize(("name", "kind", "outcome", "ledger", "holds", "later", "later_holds"), BATCH_CASES)
def test_a_batch_of_which_one_goes_wrong(
    name: str,
    kind: str,
    outcome: str,
    ledger: str,
    holds: int,
    later: str,
    later_holds: int,
    sandbox: SandboxServer,
    tmp_path: Path,
    contract_report: ContractReport,
) -> None:
    play = hubspot_play(sandbox, tmp_path, kind=FaultKind(kind))
    with closing(play.bench):
        play.bench.flag("e-1", "e-2")
        play.bench.run()
        struck, other = sorted(("e-1", "e-2"), key=lambda entity: play.bench.action(entity).state == "delivered")
        assert play.bench.action(other).state == "delivered"
        assert len(play.effects(other)) == 1
        (attempt,) = play.bench.attempts(struck)
        assert f"{attempt.verdict} {attempt.reason}" == outcome, attempt.detail
        action = play.bench.action(struck)
        assert (f"{action.state} {action.reason}", len(play.effects(struck))) == (ledger, holds)
        play.mend()
        while play.bench.run():
            pass
        action = play.bench.action(struck)
        assert (f"{action.state} {action.reason}".strip(), len(play.effects(struck))) == (later, later_holds)
        key = (play.kit.name, play.kit.operation, name)
        contract_report.row(DELIVERY, key, (outcome, ledger, str(holds), later, str(later_holds)))


def test_every_destination_is_played_and_its_kit_says_what_the_connector_says(sandbox: SandboxServer) -> None:
    assert {kit.name for kit in KITS} == set(discover())
    for kit in KITS:
        opened = discover()[kit.name].open(connection_for(kit, sandbox))
        idempotency = opened.operations[kit.operation].idempotency
        assert (kit.after_unknown == SAFE) == (idempotency is not IdempotencyClass.UNKEYED)
