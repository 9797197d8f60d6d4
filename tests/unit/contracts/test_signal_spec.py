"""What a signal's YAML may say, and what a newcomer is told who says something else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from unit.contracts.spec_samples import signal, told_of_signal

from dagster_project.contracts.signal import Duration, Guard, SignalSpec
from dagster_project.contracts.vocabulary import Kind, Mode


def test_a_silent_signal_is_careful() -> None:
    spec = SignalSpec.model_validate(signal())
    assert spec.mode is Mode.SHADOW
    assert spec.guard_for(Kind.OPENED).limit(10_000_000) == 500
    assert spec.guard_for(Kind.RESOLVED).limit(10_000_000) == 500
    assert (spec.contact_entity(), spec.contact_path()) == ("invoice", "event.entity_id")


def test_a_contact_of_its_own_is_the_one_that_is_reached() -> None:
    spec = SignalSpec.model_validate(signal(contact={"entity": "account", "by": "row.account_id"}))
    assert (spec.contact_entity(), spec.contact_path()) == ("account", "row.account_id")


def test_durations_add_up() -> None:
    assert Duration(days=1, hours=2, minutes=3).as_timedelta() == timedelta(days=1, hours=2, minutes=3)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"fresh_witin": {"hours": 1}}, "fresh_witin: unknown key 'fresh_witin' -> did you mean 'fresh_within'?"),
        ({"Owner": "me"}, "Owner: unknown key 'Owner' -> did you mean 'owner'?"),
        ({"Zzz": 1}, "Zzz: unknown key 'Zzz' -> allowed: entity, population"),
        ({"str": 1}, "str: unknown key 'str'"),
        ({"owner": ...}, "owner: the key 'owner' is missing"),
        ({"owner": ""}, "owner: String should have at least 1 character"),
        (
            {"fresh_within": {"hours": None}},
            "fresh_within.hours: a unit without a number; write for example {hours: 26}",
        ),
        ({"fresh_within": 26}, "fresh_within: 26 has no unit; write for example {hours: 26}"),
        ({"fresh_within": "26h"}, "fresh_within: '26h' has no unit"),
        ({"fresh_within": {"hour": 26}}, "fresh_within.hour: unknown key 'hour' -> did you mean 'hours'?"),
        ({"fresh_within": {"hours": 0}}, "longer than nothing"),
        ({"fresh_within": {"hours": -1}}, "greater than or equal to 0"),
        ({"fresh_within": {"hours": float("inf")}}, "fresh_within.hours: Input should be a finite number"),
        ({"fresh_within": {"days": 1_000_000_000}}, "fresh_within: longer than ten years"),
        ({"fresh_within": [26]}, "fresh_within: a mapping of keys to values is needed"),
        ({"act_within": {"hours": "4"}}, "act_within.hours: '4' is text; write the number without quotes"),
        ({"guards": {"opened": {"count": "many"}}}, "guards.opened.count: 'many' is text"),
        ({"guards": {"opend": {"count": 5}}}, "'opened', 'escalated' or 'resolved'"),
        ({"guards": {"opened": {"count": 5, "share": 0.1}}}, "guards: a share needs `population`"),
        ({"guards": {"opened": {"share": 0.1}}}, "guards.opened.count: the key 'count' is missing"),
        ({"lifecycle": "once"}, "lifecycle: Input should be 'state' or 'occurrence'"),
        ({"mode": "on"}, "mode: Input should be 'shadow' or 'live'"),
        ({"lifecycle": "occurrence", "resolve_after": {"builds": 2}}, "resolve_after: an occurrence never resolves"),
        ({"open_after": {"builds": 0}}, "open_after.builds: Input should be greater than or equal to 1"),
        ({"playbook": "Notify-Owner"}, "playbook: String should match pattern"),
        ({"in_time_share": "0.9"}, "in_time_share: '0.9' is text; write the number without quotes"),
        ({"in_time_share": 95}, "in_time_share: Input should be less than or equal to 1"),
        ({"classification": "pii"}, "classification: a list is needed"),
        ({"contact": {"entity": "account"}}, "contact.by: the key 'by' is missing"),
    ],
)
def test_one_mistake_is_one_problem_that_says_where_and_what(changes: dict[str, Any], told: str) -> None:
    problems = told_of_signal(signal(**changes))
    assert len(problems) == 1, problems
    assert told in problems[0]


def test_all_mistakes_are_told_at_once() -> None:
    problems = told_of_signal(signal(ownr="x", mode="on", fresh_within={"hours": "26"}, playbook=...))
    assert len(problems) == 4
    for key in ("ownr", "mode", "fresh_within.hours", "playbook"):
        assert any(f": {key}: " in problem for problem in problems), key


@pytest.mark.parametrize("spec", [None, [], "text", 3, {}])
def test_what_is_no_mapping_is_a_problem_and_no_crash(spec: Any) -> None:
    assert told_of_signal(spec)


@pytest.mark.parametrize(
    ("count", "share", "population", "limit"),
    [
        (500, 0.05, 1000, 50),
        (10, 0.05, 1000, 10),
        (500, 0.29, 100, 29),
        (500, 0.05, None, 500),
        (5, None, 10, 5),
        (500, 0.05, 0, 0),
    ],
)
def test_the_smaller_of_count_and_share_decides(
    count: int, share: float | None, population: int | None, limit: int
) -> None:
    assert Guard(count=count, share=share).limit(population) == limit
