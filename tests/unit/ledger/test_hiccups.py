"""A ledger that fails for a moment while calls are under way: what has begun is answered, and nothing else begins."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from delivery_on_bench import Connector, hand, operation, texting
from ledger_bench import MakeBench, opened
from sqlalchemy.exc import OperationalError

from dagster_project.contracts.destination import IdempotencyClass, RateLimit
from dagster_project.ledger.schema import attempts
from dagster_project.respond import delivery

MESSAGES = 40


def test_one_place_that_cannot_be_taken_leaves_no_begun_call_unanswered(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(texting("tell", "chat"), guards={"opened": {"count": 1000}})
    bench.take_in(*(opened(f"e{n}", text=f"e{n}") for n in range(MESSAGES)))
    failed = threading.Event()  # places are taken beside the event loop
    taken: list[object] = []

    def hiccup(*place: Any) -> float:
        """The third block of places is refused, as when the ledger's server restarts."""
        taken.append(place)
        if len(taken) == 3:
            failed.set()
            raise OperationalError("take", {}, Exception("server closed the connection unexpectedly"))
        return 0.0

    async def answer_after_it() -> None:
        """Each call is under way when the ledger fails, and for many turns of the event loop after that."""
        await asyncio.to_thread(failed.wait, 30)
        for _ in range(100):
            await asyncio.sleep(0)

    monkeypatch.setattr(delivery, "take_places", hiccup)
    slack = Connector("slack", operation("chat_call", idempotency=IdempotencyClass.UNKEYED))
    slack.rate_limit = RateLimit(40, 1.0)  # ten places a block
    slack.before_answer = answer_after_it
    with pytest.raises(OperationalError, match="server closed"):
        hand(bench, chat=slack).deliver("tell")

    begun = len(slack.sent)
    assert 0 < begun < MESSAGES
    rows = bench.rows(attempts)
    assert [one.verdict for one in rows].count("delivered") == begun
    assert {one.reason for one in rows if one.verdict != "delivered"} == {"not_sent", "run_ended"}
    assert all(one.verdict is not None for one in rows)
    assert {row.entity_id for row in bench.rows() if row.state == "waiting"}.isdisjoint(slack.sent)
    assert bench.broken_laws() == []

    monkeypatch.undo()
    bench.clock.step(4000)
    hand(bench, chat=slack).deliver("tell")
    assert sorted(slack.sent) == sorted(f"e{n}" for n in range(MESSAGES)), "each once"
