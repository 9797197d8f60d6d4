"""When a fault strikes: exactly as often, and at the same calls, as its trigger says."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dagster_project.sandbox.calls import Reply, json_reply
from dagster_project.sandbox.faults import ArmedFault, Fault, FaultBoard, FaultKind
from dagster_project.sandbox.vendor import split_batch, with_refused_inputs, without_results


def struck(fault: Fault, calls: int) -> list[int]:
    armed = ArmedFault(1, fault)
    return [call for call in range(1, calls + 1) if armed.strikes()]


@given(skip=st.integers(0, 10), every=st.integers(1, 7), times=st.none() | st.integers(1, 5), calls=st.integers(0, 60))
def test_a_certain_fault_strikes_exactly_the_calls_its_trigger_names(
    skip: int, every: int, times: int | None, calls: int
) -> None:
    fault = Fault(kind=FaultKind.STATUS, skip=skip, every=every, times=times)
    expected = [call for call in range(1, calls + 1) if call > skip and (call - skip) % every == 0]
    assert struck(fault, calls) == (expected if times is None else expected[:times])


@given(seed=st.integers(0, 2**32), probability=st.floats(0.05, 0.95))
def test_the_same_seed_strikes_the_same_calls(seed: int, probability: float) -> None:
    fault = Fault(kind=FaultKind.DROP_AFTER, probability=probability, seed=seed)
    assert struck(fault, 200) == struck(fault, 200)


def test_probability_strikes_about_its_share_and_seeds_differ() -> None:
    first = struck(Fault(kind=FaultKind.STATUS, probability=0.3, seed=1), 2000)
    second = struck(Fault(kind=FaultKind.STATUS, probability=0.3, seed=2), 2000)
    assert 500 < len(first) < 700
    assert first != second


def test_all_matchers_must_match() -> None:
    fault = Fault(kind=FaultKind.STATUS, vendor="hubspot", method="POST", path="/crm/*", operation="*upsert", body="C1")
    call = {"vendor": "hubspot", "method": "POST", "path": "/crm/x", "operation": "batch/upsert", "body": b'{"C1":1}'}
    assert fault.matches(**call)  # type: ignore[arg-type]
    for name, other in {"vendor": "slack", "method": "PUT", "path": "/x", "operation": "read", "body": b"{}"}.items():
        assert not fault.matches(**(call | {name: other}))  # type: ignore[arg-type]


def test_every_matching_fault_counts_the_call() -> None:
    board = FaultBoard()
    first, second = (board.add(Fault(kind=FaultKind.STATUS, every=2, vendor=vendor)) for vendor in ("*", "slack"))
    for vendor in ("slack", "hubspot", "slack", "slack"):
        board.strike(vendor, "POST", "/", "x", b"")
    assert (first.seen, first.struck, second.seen, second.struck) == (4, 2, 3, 1)
    assert (board.remove(first.id), board.remove(first.id)) == (True, False)


def test_retry_after_has_both_forms_of_the_standard() -> None:
    now = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    assert Fault(kind=FaultKind.RATE_LIMIT, seconds=1.5).retry_after(now) == "1.5"
    dated = Fault(kind=FaultKind.RATE_LIMIT, seconds=90, is_http_date=True).retry_after(now)
    assert dated == "Tue, 24 Nov 2026 10:01:30 GMT"
    assert parsedate_to_datetime(dated) == datetime(2026, 11, 24, 10, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "explode"},
        {"kind": "status", "vendor": "zendesk"},
        {"kind": "status", "probability": 1.5},
        {"kind": "status", "every": 0},
        {"kind": "status", "unknown": 1},
        {"kind": "delay"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Fault.model_validate(wrong)


@given(count=st.integers(1, 100), share=st.floats(0.01, 1.0))
def test_a_split_batch_loses_no_input(count: int, share: float) -> None:
    inputs = [{"id": str(number)} for number in range(count)]
    body, is_any_left, taken = split_batch(json_reply(200, {"inputs": inputs}).body, share)
    kept = Reply(200, body).body.count(b'"id"')
    assert kept + len(taken) == count
    assert len(taken) >= 1
    assert is_any_left == (kept > 0)


def test_what_is_no_batch_stays_whole() -> None:
    assert split_batch(b"no json", 0.5) == (b"no json", True, [])
    reply = json_reply(200, {"ok": True})
    assert without_results(reply, 0.5) is reply
    refused = json_reply(401, {"status": "error"})
    assert with_refused_inputs(refused, [{"id": "1"}]) is refused
