"""Each law of conservation notices when it is broken: a proof that cannot fail proves nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from audit_guards import without_guards
from ledger_bench import Bench, MakeBench, opened, resolved, step
from sqlalchemy import Connection, delete, insert, update

from dagster_project.ledger.schema import actions, attempts, audit, builds, events, pruned_totals, row_counts
from dagster_project.verify.conservation import prove


def worked(make_bench: MakeBench) -> Bench:
    """A ledger with something in every state but dead, all laws holding."""
    bench = make_bench(
        step("call"),
        step("order", role="erp", group_by="row.supplier"),
        step("close", on=("resolved",), follows="call"),
        guards={"resolved": {"count": 0}},
    )
    bench.take_in(opened("base"), is_baseline=True)
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    bench.run()
    bench.take_in(resolved("a"))
    bench.take_in(opened("c", supplier="s"))
    assert bench.broken_laws() == []
    return bench


def where_delivered() -> object:
    return actions.c.state == "delivered"


BREAKAGES: dict[str, Callable[[Connection], object]] = {
    "the totals say that 0 were pruned": lambda c: c.execute(delete(actions).where(actions.c.step == "call")),
    "builds say that 0 events were pruned, the totals 3": lambda c: c.execute(
        insert(pruned_totals).values(
            signal="customer_churn_risk", unit="event", kind="opened", step="", state="", reason="", n=3
        )
    ),
    "2 found": lambda c: c.execute(update(builds).where(builds.c.build_no == 2).values(opened=5)),
    "neither an action nor a reason": lambda c: c.execute(update(events).values(reason="")),
    "and a reason not to plan any": lambda c: c.execute(update(events).values(reason="baseline")),
    "stored dead, the audit trail says": lambda c: c.execute(
        update(actions).where(actions.c.step == "call", actions.c.state == "delivered").values(state="dead")
    ),
    "the audit trail says None": lambda c: c.execute(delete(audit).where(audit.c.verb.in_(("planned", "delivered")))),
    "but it was waiting": lambda c: c.execute(
        update(audit).where(audit.c.verb == "delivered").values(from_state="held")
    ),
    "its group is delivered": lambda c: c.execute(
        update(actions).where(actions.c.group_id.is_not(None), actions.c.state == "delivered").values(state="waiting")
    ),
    "delivered by 0 attempts": lambda c: c.execute(delete(attempts)),
    "counted as 7, there are": lambda c: c.execute(update(row_counts).values(row_count=7)),
    "counted as 0, there are": lambda c: c.execute(delete(row_counts)),
    "no reason": lambda c: c.execute(update(actions).where(actions.c.state == "held").values(reason="")),
}


@pytest.mark.parametrize("said", BREAKAGES)
def test_a_broken_law_is_noticed_and_names_the_row(make_bench: MakeBench, said: str) -> None:
    bench = worked(make_bench)
    with bench.database.writing() as connection:
        without_guards(connection)
        BREAKAGES[said](connection)

    assert any(said in example for example in bench.broken_laws()), bench.broken_laws()


def test_an_unkeyed_action_delivered_twice_is_noticed(make_bench: MakeBench) -> None:
    bench = make_bench(step("tell", role="chat"))
    bench.take_in(opened("a"))
    bench.run()
    (row,) = bench.rows(attempts)
    with bench.database.writing() as connection:
        again = {name: value for name, value in row._mapping.items() if name != "attempt_id"} | {"number": 2}
        connection.execute(attempts.insert(), again)

    assert any("delivered by 2 attempts" in example for example in bench.broken_laws())


def test_a_delivery_that_the_action_does_not_know_of_is_noticed(make_bench: MakeBench) -> None:
    bench = make_bench(step("tell", role="chat"))
    bench.take_in(opened("a"))
    bench.run()
    with bench.database.writing() as connection:
        without_guards(connection)
        connection.execute(update(actions).values(state="suppressed", reason="superseded"))
        connection.execute(
            update(audit).where(audit.c.verb == "delivered").values(to_state="suppressed", verb="suppressed")
        )

    assert bench.broken_laws() != []


def test_a_proof_of_one_signal_looks_at_no_other(make_bench: MakeBench) -> None:
    bench = worked(make_bench)
    with bench.database.writing() as connection:
        connection.execute(update(builds).values(opened=5))
    with bench.database.reading() as connection:
        assert all(proof.holds for proof in prove(connection, "another"))
        mine = prove(connection, bench.signal.name)

    assert [proof.holds for proof in mine].count(False) == 1
    assert mine[0].broken == 4
