"""What is drawn, and what a record that was read back proves; pure, so it is tried over everything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.contracts.destination import Outcome, Verdict
from dagster_project.contracts.read_back import ReadBack
from dagster_project.ledger.audit_chain import GENESIS, sealed
from dagster_project.ledger.incidents import next_state
from dagster_project.ledger.retry_policy import RetryPolicy
from dagster_project.ledger.samples import Candidate
from dagster_project.verify.audit_trail import changed_rows
from dagster_project.verify.sampling import allot, draw, is_same, record_verdict

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
POLICY = RetryPolicy(3, 1.0, 10.0)
sizes = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(0, 300), max_size=8)
digests = st.dictionaries(st.integers(1, 40), st.text("0123456789abcdef", min_size=4, max_size=4), max_size=12)


@given(sizes, st.integers(0, 400))
def test_every_stratum_is_drawn_from_and_none_more_than_it_has(counts: dict[str, int], wanted: int) -> None:
    drawn = allot(counts, wanted)

    assert all(min(1, size) <= drawn[name] <= size for name, size in counts.items())
    strata = sum(1 for size in counts.values() if size)
    assert sum(drawn.values()) == max(strata, min(wanted, sum(counts.values())))


@given(st.integers(0, 60), st.integers(1, 30), st.integers(0, 2**62))
def test_the_same_seed_draws_the_same_whatever_the_order(population: int, wanted: int, seed: int) -> None:
    every = [Candidate(f"a{n}", "s", f"step{n % 3}", "d") for n in range(population)]
    forwards, strata = draw(every, wanted, seed)
    backwards, _ = draw(every[::-1], wanted, seed)

    assert set(forwards) == set(backwards)
    assert sum(drawn for _, drawn in strata.values()) == len(forwards) == len(set(forwards))


@given(digests, digests)
def test_exactly_the_rows_that_differ_are_named(expected: dict[int, str], found: dict[int, str]) -> None:
    named = {seq for seq, _ in changed_rows(expected, found)}

    assert named == {seq for seq in {*expected, *found} if expected.get(seq) != found.get(seq)}


@given(
    st.lists(st.tuples(st.integers(1, 99), st.text("ab", min_size=2, max_size=2)), min_size=1, max_size=6, unique=True)
)
def test_a_head_depends_on_every_row_its_place_and_the_head_before(rows: list[tuple[int, str]]) -> None:
    head = sealed(GENESIS, "c", 1, rows).head
    others = [
        sealed("1" * 64, "c", 1, rows).head,
        sealed(GENESIS, "d", 1, rows).head,
        sealed(GENESIS, "c", 2, rows).head,
        sealed(GENESIS, "c", 1, rows[1:]).head,
        sealed(GENESIS, "c", 1, [*rows, (100, "cc")]).head,
        sealed(GENESIS, "c", 1, [(rows[0][0], "zz"), *rows[1:]]).head,
    ]
    if len(rows) > 1:
        others.append(sealed(GENESIS, "c", 1, rows[::-1]).head)

    assert head not in others


@pytest.mark.parametrize(
    ("wanted", "found", "same"),
    [
        ("a", " a ", True),
        ("a", "A", False),
        ("Ada@Example.com", "ada@example.com", True),
        ("2026-12-01T09:00:00.000Z", "2026-12-01T10:00:00+01:00", True),
        ("2026-12-01T09:00:00.000Z", "2026-12-01T09:00:01Z", False),
        ("3.50", "3.5", True),
        ("3.50", "3.51", False),
        ("NaN", "nan", False),
        ("", "", True),
        ("x", "", False),
    ],
)
def test_values_that_say_the_same_are_the_same(wanted: str, found: str, same: bool) -> None:
    assert is_same(wanted, found) is same


@pytest.mark.parametrize(
    ("read", "overwritten", "verdict"),
    [
        (None, (), "gone"),
        (ReadBack({"a": "1"}, {"a": "1"}), (), "match"),
        (ReadBack({"a": "1"}, {"a": "2"}), (), "mismatch"),
        (ReadBack({"a": "1"}, {"a": "2"}), ("a",), "match"),
        (ReadBack({"a": "1"}, {}), (), "mismatch"),
        (ReadBack({"a": "1"}, {"a": "1", "b": "2"}), (), "mismatch"),
        (ReadBack({"a": "1"}, {"a": "2"}, changed_at=AT + timedelta(seconds=1)), (), "changed"),
        (ReadBack({"a": "1"}, {"a": "2"}, changed_at=AT), (), "mismatch"),
        (ReadBack({"a": "1"}, {"a": "1"}, changed_at=AT + timedelta(days=1)), (), "match"),
        (ReadBack({"a": "1"}, {"a": "1"}, carriers=2), (), "mismatch"),
        (ReadBack({"a": "1"}, {"a": "2"}, carriers=2, changed_at=AT + timedelta(days=1)), (), "mismatch"),
    ],
)
def test_a_record_has_one_verdict(read: ReadBack | None, overwritten: tuple[str, ...], verdict: str) -> None:
    assert record_verdict(read, frozenset(overwritten), AT)[0] == verdict


@pytest.mark.parametrize(
    ("outcome", "attempts", "is_final", "state"),
    [
        (Outcome(Verdict.DELIVERED), 1, False, "delivered"),
        (Outcome(Verdict.REJECTED), 1, False, "dead"),
        (Outcome(Verdict.UNKNOWN), 1, False, "sending"),
        (Outcome(Verdict.UNKNOWN), 1, True, "unknown"),
        (Outcome(Verdict.RETRY), 2, False, "waiting"),
        (Outcome(Verdict.RETRY), 3, False, "dead"),
        (Outcome(Verdict.RETRY, scope="destination"), 99, False, "waiting"),
    ],
)
def test_a_message_goes_on_by_its_outcome(outcome: Outcome, attempts: int, is_final: bool, state: str) -> None:
    assert next_state(outcome, attempts, POLICY, is_final) == state
