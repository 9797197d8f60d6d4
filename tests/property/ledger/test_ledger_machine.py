"""A ledger under any sequence of builds, runs, answers, crashes and levers: nothing lost or twice, all in order."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from ledger_bench import DELIVERED, FAILED, LEASE, REJECTED, UNKNOWN, Bench, Clock, Happening, signal_of, step
from sqlalchemy import Row

from dagster_project.contracts.destination import IdempotencyClass, Outcome, ReasonFor, Verdict
from dagster_project.contracts.vocabulary import Kind, Severity
from dagster_project.ledger.claims import release, renew
from dagster_project.ledger.controls import Person, Selection, approve, discard, pause, reject, replay, resume
from dagster_project.ledger.database import Database, open_database
from dagster_project.ledger.gates import Claim
from dagster_project.ledger.schema import events, requests
from dagster_project.ledger.settlement import Intent
from dagster_project.ledger.unknown_outcomes import record_answer, unknown_work

ENTITIES = tuple("abcd")
OWNER = {"a": "o1", "b": "o1", "c": "o2", "d": "o2"}
ADA = Person("ada", "looked at it")
LIMITED = Outcome(Verdict.RETRY, ReasonFor.RATE_LIMITED.value, retry_after=20.0, scope="destination")
NOT_DONE = Outcome(Verdict.RETRY, ReasonFor.NOT_FOUND.value, "no trace of it")
SUBJECTS = ("all", "signal:customer_churn_risk", "destination:hubspot", "destination:slack")

SIGNAL = signal_of(
    step("order", role="erp", group_by="row.owner"),
    step("join"),
    step("tell", role="chat", needs=("join",)),
    step("digest", role="chat", needs=("order",), group_by="row.owner"),
    step("raise_it", on=("escalated",), follows="join"),
    step("reply", role="chat", on=("escalated",), follows="tell"),
    step("close", on=("resolved",), follows="join"),
    guards={"opened": {"count": 3}, "resolved": {"count": 3}},
)


@lru_cache(maxsize=1)
def empty_ledger() -> Path:
    """A migrated ledger to copy; made once a process."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-machine-"))
    atexit.register(shutil.rmtree, folder)
    path = folder / "empty.sqlite"
    open_database(f"sqlite:///{path}").close()
    return path


@dataclass
class Episode:
    number: int = 0
    severity: Severity | None = None  # None while the entity is not flagged


@dataclass
class Run:
    held: Claim
    under_way: list[Intent] = field(default_factory=list)


class LedgerMachine(RuleBasedStateMachine):
    """What the warehouse says, what runs do, and a sink that counts the effects of every key."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-machine-"))
        shutil.copyfile(empty_ledger(), self.folder / "ledger.sqlite")
        self.clock = Clock()
        self.database = Database(f"sqlite:///{self.folder / 'ledger.sqlite'}", self.clock)
        self.bench = Bench(self.database, self.clock, SIGNAL)
        self.warehouse = {entity: Episode() for entity in ENTITIES}
        self.runs: list[Run] = []
        self.zombies: list[Run] = []
        self.effects: dict[str, int] = {}
        self.run_count = 0

    def teardown(self) -> None:
        if not hasattr(self, "bench"):
            return
        try:
            self.come_to_rest()
        finally:
            self.database.close()
            shutil.rmtree(self.folder)

    # --- the warehouse

    @precondition(lambda self: self.bench.next_build_no <= 2 + self.run_count)
    @rule(moves=st.dictionaries(st.sampled_from(ENTITIES), st.integers(0, 3), min_size=1))
    def build(self, moves: dict[str, int]) -> None:
        self.bench.take_in(*(self._next(entity, move) for entity, move in sorted(moves.items())))

    def _next(self, entity: str, move: int) -> Happening:
        """A flagged entity leaves for the move 3 and gets worse for any other, as long as it can."""
        episode, row = self.warehouse[entity], {"owner": OWNER[entity]}
        if episode.severity is None:
            episode.number, episode.severity = episode.number + 1, list(Severity)[move]
            return Happening(entity, Kind.OPENED, episode.number, episode.severity, row)
        if move == 3 or episode.severity is Severity.CRITICAL:
            before, episode.severity = episode.severity, None
            return Happening(entity, Kind.RESOLVED, episode.number, before, row)
        episode.severity = list(Severity)[episode.severity.rank]
        return Happening(entity, Kind.ESCALATED, episode.number, episode.severity, row)

    # --- runs

    @rule(limit=st.integers(1, 6), begins=st.sampled_from((True, True, True, False)))
    def claim(self, limit: int, begins: bool) -> None:
        self.run_count += 1
        held = self.bench.claim(limit, f"run-{self.run_count}")
        if held.count:
            self.runs.append(Run(held, self.bench.begin(held) if begins else []))
            self._assert_in_order(self.runs[-1].under_way)

    def _run(self, data: st.DataObject) -> Run:
        return data.draw(st.sampled_from(self.runs), label="run")

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), answer=st.sampled_from((DELIVERED, DELIVERED, FAILED, REJECTED, UNKNOWN, LIMITED)))
    def work(self, data: st.DataObject, answer: Outcome) -> None:
        """The calls under way are answered and the next ones begin; some are rendered only."""
        run = self._run(data)
        self._take_effect(data, run.under_way, answer)
        self.bench.settle(run.held, run.under_way, answer)
        run.under_way = []
        if data.draw(st.booleans(), label="goes on"):
            run.under_way = self.bench.begin(run.held)
            self._assert_in_order(run.under_way)
        else:
            self.bench.render(run.held, self.bench.ready(run.held))

    @precondition(lambda self: any(not run.under_way for run in self.runs))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from([run for run in self.runs if not run.under_way]), label="run")
        release(self.database, run.held)
        self.runs.remove(run)

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), comes_back=st.booleans())
    def crash(self, data: st.DataObject, comes_back: bool) -> None:
        """The run is gone; its calls may have had their effect. One that only hung comes back as a zombie."""
        run = self._run(data)
        self.runs.remove(run)
        if comes_back:
            self.zombies.append(run)
        else:
            self._take_effect(data, run.under_way, UNKNOWN)

    @precondition(lambda self: self.zombies)
    @rule(data=st.data())
    def zombie_answers(self, data: st.DataObject) -> None:
        run = self.zombies.pop()
        self._take_effect(data, run.under_way, DELIVERED)
        self.bench.settle(run.held, run.under_way, DELIVERED)

    @rule(seconds=st.sampled_from((1, 40, 301, 4000)), renews=st.booleans())
    def time_passes(self, seconds: float, renews: bool) -> None:
        self.clock.step(seconds)
        for run in self.runs if renews else ():
            renew(self.database, run.held, LEASE)

    # --- people

    @rule(data=st.data(), lever=st.sampled_from(("approve", "approve all", "reject", "replay", "discard", "pause")))
    def somebody_decides(self, data: st.DataObject, lever: str) -> None:
        self.resume_all()
        if lever == "pause":
            pause(self.database, data.draw(st.sampled_from(SUBJECTS), label="subject"), ADA)
        elif lever == "approve all":
            approve(self.database, Selection(signal=SIGNAL.name), ADA)
        else:
            self._decide_on_one(data, lever)

    def _decide_on_one(self, data: st.DataObject, lever: str) -> None:
        act, states = {
            "approve": (approve, ("held",)),
            "reject": (reject, ("held",)),
            "replay": (replay, ("dead",)),
            "discard": (discard, ("waiting", "dead")),
        }[lever]
        rows = [row for row in self.bench.rows() if row.state in states and row.reason != "unknown_outcome"]
        if rows:
            act(self.database, Selection(ids=(data.draw(st.sampled_from(rows), label="row").action_id,)), ADA)

    def resume_all(self) -> None:
        for subject in SUBJECTS:
            resume(self.database, subject, ADA)

    # --- the sink

    def _take_effect(self, data: st.DataObject, intents: list[Intent], answer: Outcome) -> None:
        """A delivered call had its effect; an unknown one may have had it."""
        for intent in intents:
            may_have = answer.verdict is Verdict.UNKNOWN and data.draw(st.booleans(), label="took effect")
            if answer.verdict is Verdict.DELIVERED or may_have:
                self.effects[intent.action_id] = self.effects.get(intent.action_id, 0) + 1

    # --- what must hold

    def _assert_in_order(self, intents: list[Intent]) -> None:
        """No call is about to be made for an event while an earlier one of its lane has work to do."""
        rows = self.bench.rows()
        for intent in intents:
            for mine in (r for r in rows if intent.action_id in (r.action_id, r.group_id) and r.event_id):
                earlier = [r for r in rows if r.entity_id == mine.entity_id and r.build_no < mine.build_no]
                blocking = [r for r in earlier if r.state == "held" or _waits_for_more_than_a_dead_step(r)]
                assert mine.state != "waiting" or not blocking, (mine.step, [(r.step, r.state) for r in blocking])

    @invariant()
    def conserved(self) -> None:
        if hasattr(self, "bench"):
            assert self.bench.broken_laws() == []

    @invariant()
    def nothing_unkeyed_has_happened_twice(self) -> None:
        if hasattr(self, "bench"):
            unkeyed = {row.action_id for row in self.bench.rows(idempotency=IdempotencyClass.UNKEYED.value)}
            assert {key for key, count in self.effects.items() if count > 1} & unkeyed == set()

    @invariant()
    def a_sent_group_was_about_those_who_say_so(self) -> None:
        rows = self.bench.rows() if hasattr(self, "bench") else []
        said = (
            {row.action_id: json.loads(row.arguments_json)["about"] for row in self.bench.rows(requests)}
            if rows
            else {}
        )
        for group in (row for row in rows if row.is_group and row.state == "delivered"):
            members = [row.entity_id for row in rows if row.group_id == group.action_id and row.state == "delivered"]
            assert sorted(members) == said[group.action_id]

    # --- the end

    def come_to_rest(self) -> None:
        """A healthy world: everything answers, people decide. Every event must then come to its end."""
        self.resume_all()
        for _ in range(60):
            self.clock.step(5000)
            self._ask_about_unknown()
            approve(self.database, Selection(signal=SIGNAL.name), ADA)
            replay(self.database, Selection(reason="need_dead", signal=SIGNAL.name), ADA)
            for row in self.bench.rows(state="dead"):
                replay(self.database, Selection(ids=(row.action_id,)), ADA)
            held = self.bench.claim(run="last")
            while intents := self.bench.begin(held):
                self._assert_in_order(intents)
                for intent in intents:
                    self.effects[intent.action_id] = self.effects.get(intent.action_id, 0) + 1
                self.bench.settle(held, intents, DELIVERED)
            release(self.database, held)
            if not self._unfinished():
                break
        self._assert_at_rest()

    def _ask_about_unknown(self) -> None:
        for item in unknown_work(self.database, SIGNAL.name, 1000).items:
            record_answer(self.database, item.action_id, DELIVERED if self.effects.get(item.action_id) else NOT_DONE)

    def _unfinished(self) -> list[Row[object]]:
        return [row for row in self.bench.rows() if row.state in ("waiting", "held", "dead")]

    def _assert_at_rest(self) -> None:
        assert [(row.entity_id, row.step, row.state, row.reason) for row in self._unfinished()] == []
        self.conserved()
        self.nothing_unkeyed_has_happened_twice()
        self.a_sent_group_was_about_those_who_say_so()
        planned = {row.event_id for row in self.bench.rows()}
        for event in self.bench.rows(events):
            assert event.event_id in planned or event.reason
        for row in self.bench.rows(group_id=None):
            assert row.state != "delivered" or self.effects.get(row.action_id), "delivered, and the sink has nothing"


def _waits_for_more_than_a_dead_step(row: Row[object]) -> bool:
    return row.state == "waiting" and row.reason != "need_dead"


LedgerMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestLedgerMachine = LedgerMachine.TestCase
