"""The audit's jobs as Dagster runs them: the daily one samples, erases and recounts; the watch tells people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from audit_guards import without_guards
from dagster import AssetCheckResult, AssetKey, DagsterInstance, asset, asset_check, materialize
from small_loop import STEPS, SmallLoop, signal_with
from sqlalchemy import update

from dagster_project.ledger.incidents import open_incidents
from dagster_project.ledger.schema import alert_messages, audit, events, sampled_records, samples
from dagster_project.respond.jobs import actions_key
from dagster_project.sandbox import credentials
from dagster_project.sandbox.server import SandboxServer
from dagster_project.verify.audit_jobs import build_audit_jobs, build_watch_job, failed_checks, watched_checks
from dagster_project.verify.sample_checks import build_sample_check


@pytest.fixture
def loop(sandbox: SandboxServer, tmp_path: Path) -> Iterator[SmallLoop]:
    settings = {"alert_email": "operators@example.com"}
    played = SmallLoop(sandbox, tmp_path, signal_with(STEPS, keep_personal_data={"days": 30}), settings)
    played.flag("C1")
    played.run()
    yield played
    played.database.close()


def samples_match(loop: SmallLoop) -> AssetCheckResult:
    check = build_sample_check(loop.signal, actions_key(loop.signal.name), lambda: loop.database)
    result = check()
    assert isinstance(result, AssetCheckResult)
    return result


def test_the_daily_job_samples_erases_and_recounts(loop: SmallLoop) -> None:
    daily, _ = build_audit_jobs(lambda: loop.around)
    assert daily.execute_in_process().success

    assert [row.cadence for row in loop.rows(samples)] == ["daily"]
    assert {row.verdict for row in loop.rows(sampled_records)} == {"match", "unreadable"}
    assert "Ada C1" in loop.rows(events)[0].row_json
    loop.clock.ahead = timedelta(days=31)
    assert daily.execute_in_process().success
    assert loop.rows(events)[0].row_json == '{"erased": true}'


def test_the_weekly_job_samples(loop: SmallLoop) -> None:
    _, weekly = build_audit_jobs(lambda: loop.around)
    assert weekly.execute_in_process().success

    assert [row.cadence for row in loop.rows(samples)] == ["weekly"]


def test_a_touched_trail_fails_the_daily_job_and_people_are_told_until_it_holds_again(loop: SmallLoop) -> None:
    daily, _ = build_audit_jobs(lambda: loop.around)
    actor = loop.rows(audit, seq=3)[0].actor
    for name, is_touched in (("nobody", True), (actor, False)):
        with loop.database.writing() as connection:
            without_guards(connection)
            connection.execute(update(audit).where(audit.c.seq == 3).values(actor=name))
        result = daily.execute_in_process(raise_on_error=False)
        assert result.success is not is_touched
        assert [one.kind for one in open_incidents(loop.database)] == (["broken_chain"] if is_touched else [])

    sent = {one.idempotency_key for one in loop.sandbox.effects("smtp")}
    assert len({row.message_id for row in loop.rows(alert_messages)} & sent) == 2


def test_the_check_holds_the_match_rate_and_a_person_s_word_goes_first(loop: SmallLoop) -> None:
    _, weekly = build_audit_jobs(lambda: loop.around)
    assert samples_match(loop).passed  # nothing was read back yet
    url = f"{loop.sandbox.address.http_url}/hubspot/crm/objects/2026-03/tasks/{loop.action('C1', 'call').external_id}"
    headers = {"Authorization": f"Bearer {credentials.HUBSPOT_TOKEN}"}
    requests.delete(url, headers=headers, timeout=10).raise_for_status()
    weekly.execute_in_process()
    found = samples_match(loop)

    assert not found.passed
    assert found.metadata["match_rate"].value == 0.75
    assert found.metadata["gone"].value == 1
    with loop.database.writing() as connection:
        gone = sampled_records.c.verdict == "gone"
        connection.execute(update(sampled_records).where(gone).values(person="ann", person_verdict="changed"))
    assert samples_match(loop).passed


def test_the_watch_tells_of_a_check_that_failed_when_it_ran_last(loop: SmallLoop) -> None:
    name = loop.signal.name
    keys = watched_checks([name])
    outcomes = {"passed": False}

    @asset(key=AssetKey([name]))
    def flagged() -> None:
        return None

    @asset_check(asset=flagged, name="capture_complete")
    def capture_complete() -> AssetCheckResult:
        return AssetCheckResult(passed=outcomes["passed"])

    with DagsterInstance.ephemeral() as instance:
        watching = build_watch_job(lambda: loop.around, keys)
        assert failed_checks(instance, keys) == []
        materialize([flagged, capture_complete], instance=instance)
        assert failed_checks(instance, keys) == [(name, "capture_complete")]
        watching.execute_in_process(instance=instance)
        assert [one.subject for one in open_incidents(loop.database)] == [f"{name}: capture_complete"]
        outcomes["passed"] = True
        materialize([flagged, capture_complete], instance=instance)
        watching.execute_in_process(instance=instance)
        assert open_incidents(loop.database) == []
