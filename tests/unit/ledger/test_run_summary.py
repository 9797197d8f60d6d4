"""What a run left to be tried again is told by destination, cause and time; what is merely next is not."""

from __future__ import annotations

from ledger_bench import MakeBench, opened, step

from dagster_project.contracts.destination import Outcome, Verdict
from dagster_project.ledger.run_summary import read_retries, summarize_run

FAILED = Outcome(verdict=Verdict.RETRY, reason="server_error")
STEPS = (step("join"), step("tell", role="chat", needs=("join",)))


def test_what_an_outage_leaves_is_told_with_its_cause(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"), opened("b"), opened("c"))
    bench.run(lambda item: FAILED)

    assert summarize_run(bench.database, "run-1").states == {"waiting": 3}
    (left,) = read_retries(bench.database, bench.signal.name)
    join = bench.action("a", "join")
    assert (left.destination, left.reason, left.count) == (join.destination, "server_error", 3)
    assert left.next_at == min(bench.action(entity, "join").due_at for entity in "abc")
    assert str(left).startswith(f"3 at {join.destination} (server_error), the first at ")


def test_after_success_there_is_nothing_to_try_again(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"))
    bench.run()
    assert read_retries(bench.database, bench.signal.name) == []
