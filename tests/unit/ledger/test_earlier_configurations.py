"""Work that was planned under another configuration: what does not fit today's any more stops alone, and says why."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from delivery_on_bench import Connector, ShortText, hand, operation, texting
from ledger_bench import DELIVERED, FAILED, UNKNOWN, Bench, MakeBench, opened, signal_of, step

from dagster_project.contracts.destination import IdempotencyClass, LookupFailed
from dagster_project.contracts.playbook import Enrichment, Playbook, PlaybookVersion
from dagster_project.ledger.controls import Person, Selection, pause, replay
from dagster_project.ledger.schema import attempts
from dagster_project.ledger.work import claimed_events
from dagster_project.respond.delivery import deliver_step
from dagster_project.respond.looking_up import look_up

UNKEYED = IdempotencyClass.UNKEYED
POST = operation("chat_call", idempotency=UNKEYED)
CALL = operation("crm_call")


def states(bench: Bench) -> dict[str, Counter[tuple[str, str]]]:
    """How many actions of each step came to which state and reason."""
    rows = bench.rows()
    return {name: Counter((r.state, r.reason) for r in rows if r.step == name) for name in {r.step for r in rows}}


def looking_up(bench: Bench, **enrich: Enrichment) -> Any:
    """The bench's signal with a playbook that looks something up."""
    playbook = Playbook(name="outreach", description="o", enrich=enrich, steps=bench.signal.version.playbook.steps)
    version = PlaybookVersion(signal=bench.signal.name, playbook=playbook, parameters={})
    return bench.signal.model_copy(update={"version": version})


def test_a_stored_request_whose_operation_is_gone_leaves_no_attempt_open(make_bench: MakeBench) -> None:
    bench = make_bench(texting("call", "crm"), texting("tell", "chat"))
    bench.take_in(*(opened(f"e{n}", text="x") for n in range(3)))
    failing = {"answer": lambda _: FAILED}
    hand(bench, crm=Connector("hubspot", CALL, **failing), chat=Connector("slack", POST, **failing)).deliver()
    bench.clock.step(4000)

    today = hand(bench, crm=Connector("hubspot", operation("crm_upsert")), chat=Connector("slack", POST))
    assert today.deliver().states == {"dead": 3, "delivered": 3}
    assert states(bench) == {"call": Counter({("dead", "misconfigured"): 3}), "tell": Counter({("delivered", ""): 3})}
    assert "hubspot has no operation 'crm_call' any more" in bench.action("e0", "call").detail
    assert len(today.connectors["chat"].sent) == 3
    assert all(one.verdict is not None for one in bench.rows(attempts))
    assert [one.number for one in bench.attempts(bench.action("e0", "call").action_id)] == [1], "it was not called"

    replay(bench.database, Selection(signal=bench.signal.name), Person("ada", "the connector is back"))
    hand(bench, crm=Connector("hubspot", CALL)).deliver()
    assert states(bench)["call"] == Counter({("delivered", ""): 3})
    assert bench.broken_laws() == []


@pytest.mark.parametrize("answer", [None, FAILED], ids=["never rendered", "rendered before"])
def test_a_role_that_is_bound_no_more_stops_its_own_work_alone(make_bench: MakeBench, answer: Any) -> None:
    bench = make_bench(texting("tell", "desk"))
    bench.take_in(opened("old", text="x"))
    if answer is not None:
        hand(bench, desk=Connector("zendesk", operation("desk_call"), answer=lambda _: answer)).deliver()
        bench.clock.step(4000)
    bench.signal = signal_of(texting("tell", "chat"))
    bench.take_in(opened("new", text="y"))

    today = hand(bench, chat=Connector("slack", POST))
    assert today.deliver("tell").states == {"dead": 1, "delivered": 1}
    assert bench.state("old", "tell") == ("dead", "misconfigured")
    assert "the role 'desk' any more: bind it again in LOOP_BINDINGS" in bench.action("old", "tell").detail
    assert today.connectors["chat"].sent == ["y"]
    assert bench.broken_laws() == []


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (Enrichment(model="dim_owner", by="row.text", key="id"), "dbt model 'dim_owner'"),
        (Enrichment(role="erp", lookup="open_orders", by="row.text"), "erp.open_orders"),
        (Enrichment(role="crm", lookup="open_deals", by="row.text"), "crm.open_deals"),
    ],
    ids=["model gone", "role gone", "lookup gone"],
)
def test_a_source_that_is_gone_stops_the_version_that_needs_it(
    make_bench: MakeBench, source: Enrichment, named: str
) -> None:
    bench = make_bench(texting("call", "crm"))
    current = bench.signal
    bench.signal = looking_up(bench, owner=source)
    bench.take_in(opened("old", text="x"))
    bench.signal = current
    bench.take_in(opened("new", text="y"))

    today = hand(bench, crm=Connector("hubspot", CALL))
    with today.at_work() as workshop:
        for version, events in claimed_events(bench.database, workshop.claim):
            asyncio.run(look_up(workshop, version, events))
        asyncio.run(deliver_step(workshop, "call"))
    assert bench.state("old", "call") == ("dead", "misconfigured")
    assert named in bench.action("old", "call").detail
    assert today.connectors["crm"].sent == ["y"]
    assert len(today.said) == 1, "said once, and looked for once"
    assert bench.broken_laws() == []


def test_a_stored_request_that_does_not_fit_leaves_its_batch_without_it(make_bench: MakeBench) -> None:
    bench = make_bench(texting("call", "crm"))
    bench.take_in(*(opened(f"e{n}", text="short") for n in range(9)), opened("long", text="a text of more than ten"))
    hand(bench, crm=Connector("hubspot", operation("crm_call", batch_size=100), answer=lambda _: FAILED)).deliver()
    bench.clock.step(4000)

    today = hand(bench, crm=Connector("hubspot", operation("crm_call", ShortText, batch_size=100)))
    report = today.deliver()
    assert (report.calls, report.states) == (1, {"dead": 1, "delivered": 9})
    assert bench.state("long", "call") == ("dead", "invalid_request")
    assert "does not fit crm_call any more" in bench.action("long", "call").detail
    assert today.connectors["crm"].sent == ["short"] * 9
    assert bench.broken_laws() == []


def test_a_source_that_is_down_holds_up_only_what_has_to_be_rendered(make_bench: MakeBench) -> None:
    bench = make_bench(texting("call", "crm"))
    bench.signal = looking_up(bench, orders=Enrichment(role="erp", lookup="open_orders", by="row.text"))
    bench.take_in(opened("stored", text="x"))
    orders = frozenset({"open_orders"})
    erp = Connector("tryton", operation("erp_call"), lookups=orders)
    hand(bench, crm=Connector("hubspot", CALL, answer=lambda _: FAILED), erp=erp).deliver()
    bench.clock.step(4000)
    bench.take_in(opened("fresh", text="y"))
    asked: list[str] = []

    def down(lookup: str, _keys: object) -> Any:
        asked.append(lookup)
        raise LookupFailed("tryton", lookup, "unreachable")

    today = hand(bench, crm=Connector("hubspot", CALL), erp=Connector("tryton", {}, looked_up=down, lookups=orders))
    with today.at_work() as workshop:
        for _ in range(2):
            asyncio.run(deliver_step(workshop, "call"))
    assert today.connectors["crm"].sent == ["x"]
    assert bench.state("fresh", "call") == ("waiting", "")
    assert asked == ["open_orders"], "a source that is down is asked once in a run"
    assert "tryton" in today.said[0]

    hand(bench, crm=Connector("hubspot", CALL, answer=lambda _: DELIVERED), erp=erp).deliver()
    assert states(bench) == {"call": Counter({("delivered", ""): 2})}
    assert bench.broken_laws() == []


def test_work_that_was_planned_for_one_destination_is_not_sent_to_another(make_bench: MakeBench) -> None:
    bench = make_bench(texting("tell", "desk"))
    bench.take_in(opened("old", text="x"))
    calls = operation("desk_call", idempotency=IdempotencyClass.IDEMPOTENCY_KEY)
    zendesk = Connector("zendesk", calls, answer=lambda _: UNKNOWN)
    hand(bench, desk=zendesk).deliver()
    bench.clock.step(4000)

    mail = Connector("email", operation("desk_call", idempotency=UNKEYED))
    pause(bench.database, "destination:email", Person("ada", "no mail today"))
    assert hand(bench, desk=mail).deliver().states == {"dead": 1}
    assert mail.sent == [], "it would have passed the gates of zendesk, under the promise of zendesk"
    assert bench.state("old", "tell") == ("dead", "misconfigured")
    assert "planned for zendesk, and the role 'desk' is bound to email now" in bench.action("old", "tell").detail

    replay(bench.database, Selection(signal=bench.signal.name), Person("ada", "bound to zendesk again"))
    zendesk.answer = lambda _: DELIVERED
    hand(bench, desk=zendesk).deliver()
    assert bench.state("old", "tell") == ("delivered", "")
    assert bench.broken_laws() == []


def test_two_versions_may_call_different_things_by_one_name(make_bench: MakeBench) -> None:
    bench = make_bench(step("call", arguments={"text": "{{ owner.name }}"}))
    current = bench.signal
    for entity, lookup in (("old", "owners_of_then"), ("new", "owners_of_today")):
        bench.signal = current
        bench.signal = looking_up(bench, owner=Enrichment(role="crm", lookup=lookup, by="row.region"))
        bench.take_in(opened(entity, region="north"))

    def looked_up(lookup: str, keys: Sequence[str]) -> dict[str, dict[str, str]]:
        return {key: {"name": f"{lookup} {key}"} for key in keys}

    lookups = frozenset({"owners_of_then", "owners_of_today"})
    crm = Connector("hubspot", CALL, looked_up=looked_up, lookups=lookups)
    hand(bench, crm=crm).deliver()
    assert sorted(crm.sent) == ["owners_of_then north", "owners_of_today north"]
    assert bench.broken_laws() == []
