"""The signals and playbooks that the project ships are whole, and become the jobs that they describe."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster import DagsterInstance
from unit.contracts.planted_project import compiled, signal_using
from unit.contracts.prepared_project import prepared_project
from unit.respond.work_samples import event, post, version_of

from dagster_project.contracts.event import EVENT_FIELDS
from dagster_project.contracts.playbook import PlaybookVersion
from dagster_project.contracts.vocabulary import Mode
from dagster_project.prepare import compile_catalog
from dagster_project.respond.action_run import Surroundings
from dagster_project.respond.bindings import bind_roles
from dagster_project.respond.jobs import RESERVED_OPS, actions_key, build_job
from dagster_project.respond.playbook_files import read_playbooks
from dagster_project.settings import PROJECT_ROOT

PLAYBOOKS = PROJECT_ROOT / "dagster_project/respond/playbooks"
SHIPPED = ["customer_onboarding", "notify_owner", "reorder_stock", "retention_outreach"]
ANSWERS = {
    "customer_churn_risk": "retention_outreach",
    "deal_won": "customer_onboarding",
    "product_low_stock": "reorder_stock",
}


def never() -> Surroundings:
    raise AssertionError("a job's definition needs no ledger")


def test_all_that_is_shipped_compiles_without_a_problem() -> None:
    project = prepared_project()
    catalog = compile_catalog(project.manifest(), project.settings)
    assert catalog.quarantined == {}
    assert {name: signal.version.playbook.name for name, signal in catalog.signals.items()} == ANSWERS
    assert all(signal.spec.mode is Mode.LIVE for signal in catalog.signals.values())
    files = read_playbooks(PLAYBOOKS)
    assert (sorted(files.playbooks), files.problems) == (SHIPPED, {})


def test_the_first_answer_suits_any_new_signal(tmp_path: Path) -> None:
    text = (PLAYBOOKS / "notify_owner.yaml").read_text(encoding="utf-8")
    catalog = compiled(tmp_path, {"notify_owner": text}, signal_using("notify_owner"))
    assert catalog.quarantined == {}
    assert catalog.signals["invoice_overdue"].spec.mode is Mode.SHADOW


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_every_shipped_signal_guards_and_describes_itself(name: str) -> None:
    signal = prepared_project().catalog.signals[name]
    assert signal.description
    assert all(column.description for column in signal.columns.values())
    assert signal.spec.population
    assert signal.spec.guards
    assert signal.tests
    assert signal.sources


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_whatever_reaches_people_outside_heeds_do_not_contact(name: str) -> None:
    for step in prepared_project().catalog.signals[name].version.playbook.steps:
        if step.role in ("mail", "crm") and step.operation in ("send_email", "add_to_campaign"):
            assert not step.is_internal, step.name


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_a_job_has_one_op_for_every_step_named_as_in_the_playbook(name: str) -> None:
    signal = prepared_project().catalog.signals[name]
    job = build_job(signal, never)
    assert job.name == f"act_on_{name}"
    steps = [step.name for step in signal.version.playbook.steps]
    assert [node.name for node in job.nodes_in_topological_order] == [
        "claim", "enrich", *steps, "earlier_versions", "settle",
    ]  # fmt: skip
    assert job.executor_def.name == "in_process"
    assert actions_key(name).to_user_string() == f"actions/{name}"


@pytest.mark.parametrize("reserved", sorted(RESERVED_OPS))
def test_a_step_may_be_called_as_an_op_of_ours_is(reserved: str) -> None:
    signal = prepared_project().catalog.signals["deal_won"]
    version: PlaybookVersion = version_of(post(reserved))
    job = build_job(signal.model_copy(update={"version": version}), never)
    assert f"{reserved}_step" in {node.name for node in job.nodes}


def test_a_run_without_a_ledger_fails_before_any_step() -> None:
    with DagsterInstance.ephemeral() as instance:
        result = build_job(prepared_project().catalog.signals["deal_won"], never).execute_in_process(
            instance=instance, raise_on_error=False
        )
    assert not result.success
    failed = [event.step_key for event in result.all_events if event.is_step_failure]
    assert failed == ["claim"]


def test_every_bound_destination_is_of_the_role_it_answers_for() -> None:
    for role, binding in bind_roles(prepared_project().settings).items():
        assert binding.connector.role == role


def test_an_event_has_exactly_the_fields_that_playbooks_may_read() -> None:
    assert tuple(event().template_fields()) == EVENT_FIELDS
