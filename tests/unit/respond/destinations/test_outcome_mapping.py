"""The mapping from what happened to an outcome: total, never too sure, and bounded in what it believes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.contracts.destination import Outcome, ReasonFor, Verdict
from dagster_project.respond.destinations.outcome_mapping import (
    LONGEST_RETRY_AFTER,
    Failure,
    Fault,
    Flaw,
    Reply,
    before_the_effect,
    is_success,
    judged,
    outcome_of_failure,
    outcome_of_status,
    retry_after_seconds,
    text_of,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
statuses = st.integers(100, 999)
headers = st.dictionaries(st.sampled_from(["retry-after", "location", "date"]), st.text(max_size=30))
replies = st.builds(Reply, statuses, headers, st.binary(max_size=60), st.none() | st.sampled_from(Flaw))
answers = replies | st.builds(Failure, st.sampled_from(Fault), st.text(max_size=20))


@given(answers)
def test_every_answer_is_a_value_or_an_outcome_with_a_known_reason(answer: Reply | Failure) -> None:
    value = judged(answer, NOW)
    if isinstance(value, Outcome):
        assert value.verdict is not Verdict.DELIVERED
        assert value.reason in set(ReasonFor)
        assert value.detail or isinstance(answer, Failure)
    else:
        assert isinstance(answer, Reply) and is_success(answer.status) and answer.flaw is None


@given(answers)
def test_only_the_action_itself_is_ever_rejected(answer: Reply | Failure) -> None:
    value = judged(answer, NOW)
    if isinstance(value, Outcome) and value.verdict is Verdict.REJECTED:
        assert value.scope == "action"
        assert isinstance(answer, Reply) and 400 <= answer.status <= 499
        assert value.retry_after is None


@given(st.integers(200, 299), st.sampled_from(Flaw))
def test_a_success_that_cannot_be_read_is_never_known_as_undone(status: int, flaw: Flaw) -> None:
    value = judged(Reply(status, {}, b"{}", flaw), NOW)
    assert isinstance(value, Outcome) and value.verdict is Verdict.UNKNOWN


@given(st.integers(500, 599), st.text(max_size=20))
def test_a_failing_server_is_never_known_to_have_refused(status: int, body: str) -> None:
    assert outcome_of_status(Reply(status, {}, body.encode()), NOW).verdict is not Verdict.REJECTED


@pytest.mark.parametrize("fault", [Fault.TIMED_OUT, Fault.REPLY_LOST, Fault.GARBLED])
def test_after_the_request_was_sent_nothing_is_known(fault: Fault) -> None:
    assert outcome_of_failure(Failure(fault, "x")).verdict is Verdict.UNKNOWN


@given(st.text(max_size=40))
def test_retry_after_is_bounded_whatever_a_server_says(value: str) -> None:
    seconds = retry_after_seconds(value, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


@given(st.floats(0, LONGEST_RETRY_AFTER))
def test_retry_after_in_seconds(seconds: float) -> None:
    assert retry_after_seconds(f" {seconds!r} ", NOW) == seconds


@given(st.integers(-1_000_000, 80_000))
def test_retry_after_as_a_date(seconds: int) -> None:
    value = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_seconds(value, NOW) == max(0, seconds)


@pytest.mark.parametrize("value", [None, "", "soon", "-1", "nan", "１０", "Wed, 99 Foo 2026 99:99:99 GMT"])
def test_retry_after_that_says_nothing(value: str | None) -> None:
    assert retry_after_seconds(value, NOW) is None


@pytest.mark.parametrize("value", ["inf", "1e300", "Fri, 01 Jan 2999 00:00:00 GMT", "999999999999"])
def test_retry_after_is_a_day_at_most(value: str) -> None:
    assert retry_after_seconds(value, NOW) == LONGEST_RETRY_AFTER


@given(answers)
def test_a_call_that_only_prepares_is_never_unknown(answer: Reply | Failure) -> None:
    value = judged(answer, NOW)
    if isinstance(value, Outcome):
        before = before_the_effect(value)
        assert before.verdict is not Verdict.UNKNOWN
        assert (before.reason, before.scope, before.detail) == (value.reason, value.scope, value.detail)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_a_readable_success_is_its_json(value: object) -> None:
    assert judged(Reply(200, {}, json.dumps(value).encode()), NOW) == value


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"message": "No such  list"}', "No such list"),
        (b'{"error": "nope"}', "nope"),
        (b"<html><h1>Bad&nbsp;gateway</h1></html>", "Bad gateway"),
        (b"plain", "plain"),
        (b"\xff\xfe", "��"),
        (b"", ""),
    ],
)
def test_what_an_error_says_to_a_person(body: bytes, text: str) -> None:
    assert text_of(Reply(400, {}, body)) == text
