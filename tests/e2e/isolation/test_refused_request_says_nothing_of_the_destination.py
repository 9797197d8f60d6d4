"""A stored request that its connector refuses before any call says nothing about the destination."""

from __future__ import annotations

import json
from collections.abc import Callable

from isolation_bench import HOOK, IsolationBench, Parcel
from sqlalchemy import select, update

from dagster_project.ledger.schema import audit, destinations, requests
from dagster_project.sandbox.server import SandboxServer

MakeBench = Callable[..., IsolationBench]


def test_a_request_that_no_longer_fits_closes_no_circuit(bench_with: MakeBench, receiver: SandboxServer) -> None:
    bench = bench_with(receiver, circuit_opens_after=3, circuit_base_seconds=20.0)
    receiver.stop()
    bench.flag(HOOK, [Parcel(f"p{number}") for number in range(4)])
    bench.run(HOOK)
    bench.ahead_seconds += 3600
    with bench.around.database.writing() as connection:  # as if a release had renamed an argument
        connection.execute(update(requests).values(arguments_json=json.dumps({"renamed": 1})))
    bench.run(HOOK)

    with bench.around.database.reading() as connection:
        row = connection.execute(select(destinations).where(destinations.c.destination == "webhook")).one()
        verbs = connection.execute(select(audit.c.verb).where(audit.c.verb.like("circuit%"))).scalars().all()
    assert {row.state for row in bench.rows(HOOK)} == {"dead"}
    assert row.open_until is not None, "nobody has heard from the destination"
    assert verbs == ["circuit_opened"]
