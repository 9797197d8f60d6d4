"""Every mistake in a signal's two files is refused with the line and the remedy; the other signals stay."""

# ruff: noqa: E501 - one case a line reads as the table that it is

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from unit.contracts.planted_project import compiled, problems_of_signal, signal_using
from unit.contracts.prepared_project import prepared_project
from unit.contracts.spec_samples import PLAYBOOK_YAML, SIGNAL_YML

from dagster_project.detect.manifest import read_models, read_signals
from dagster_project.settings import PROJECT_ROOT

YML = "models/signals/finance/invoice_overdue.yml"


def test_the_signal_without_a_mistake_may_be_used(tmp_path: Path) -> None:
    assert problems_of_signal(tmp_path, SIGNAL_YML) == ()


@pytest.mark.parametrize(
    ("text", "line", "key", "told"),
    [
        (SIGNAL_YML.replace("act_within", "act_witin"), 10, "act_witin", "unknown key 'act_witin' -> did you mean 'act_within'?"),
        (SIGNAL_YML.replace("{hours: 26}", "{hours: }"), 9, "fresh_within.hours", "a unit without a number"),
        (SIGNAL_YML.replace("{hours: 26}", "26"), 9, "fresh_within", "26 has no unit"),
        (SIGNAL_YML.replace("{hours: 4}", "{hours: '4'}"), 10, "act_within.hours", "'4' is text"),
        (SIGNAL_YML.replace("notify_owner", "notify_ownr"), 11, "playbook", "there is no playbook 'notify_ownr' -> there are: notify_owner"),
        (SIGNAL_YML.replace("entity: invoice", "entity: invoice\n          guards: {opened: {count: 5, share: 0.1}}"), 8, "guards", "a share needs `population`"),
        (SIGNAL_YML.replace("entity: invoice", "entity: invoice\n          guards: {opened: {count: '5'}}"), 8, "guards.opened.count", "'5' is text"),
        (SIGNAL_YML.replace("      - {name: score, data_type: double precision}\n", ""), 12, "columns", "the column 'score' is missing -> add it with data_type: double"),
        (SIGNAL_YML.replace("{name: entity_id, data_type: text}", "{name: entity_id, data_type: bigint}"), 13, "columns.entity_id", "data_type 'bigint' where 'text' is needed -> set data_type: text and cast in the SQL"),
        (SIGNAL_YML.replace("{name: observed_at, data_type: timestamptz}", "{name: observed_at, data_type: date}"), 17, "columns.observed_at", "data_type 'date' where 'timestamptz' is needed"),
        (SIGNAL_YML.replace("{name: score, data_type: double precision}", "{name: score}"), 15, "columns.score", "data_type '(none)' where 'double precision' is needed"),
        (SIGNAL_YML.replace("    config:\n", "    config:\n      materialized: view\n"), 5, "config.materialized", "a signal is materialized as a table, not as view -> leave `materialized` out"),
        (SIGNAL_YML.replace("    config:\n", "    config:\n      contract: {enforced: false}\n"), 5, "config.contract", "the dbt contract is not enforced"),
        (SIGNAL_YML.replace("        signal:", "        singal:"), 5, "", "config.meta.signal is missing -> say entity, owner, playbook and SLAs there"),
        (SIGNAL_YML.replace("owner: team:finance", "owner: team:finance\n          slack_token: sesame"), 9, "slack_token", "unknown key 'slack_token'"),
    ],
)  # fmt: skip
def test_one_mistake_stands_at_its_line_with_its_remedy(
    tmp_path: Path, text: str, line: int, key: str, told: str
) -> None:
    problems = problems_of_signal(tmp_path, text)
    (problem,) = [problem for problem in problems if told in str(problem)]
    assert (problem.file, problem.key, problem.line) == (YML, key, line)
    assert "sesame" not in "".join(map(str, problems))


def test_all_mistakes_of_spec_and_contract_are_told_at_once(tmp_path: Path) -> None:
    text = SIGNAL_YML.replace("{hours: 26}", "{hour: 26}").replace("entity: invoice", "entiti: invoice")
    text = text.replace("{name: reason, data_type: text}", "{name: reason, data_type: json}")
    text = text.replace("      - {name: score, data_type: double precision}\n", "")
    keys = sorted(problem.key for problem in problems_of_signal(tmp_path, text))
    assert keys == ["columns", "columns.reason", "entiti", "entity", "fresh_within.hour"]


def test_a_signal_without_yaml_is_told_to_add_one(tmp_path: Path) -> None:
    (problem,) = problems_of_signal(tmp_path, SIGNAL_YML, patch_path=None)
    assert str(problem) == (
        "models/signals/finance/invoice_overdue.sql: this signal has no YAML file -> add invoice_overdue.yml beside it"
    )


@pytest.mark.parametrize("meta", [{}, {"signal": None}, {"signal": []}, {"signal": "x"}, {"signal": {}}])
def test_settings_that_say_nothing_are_refused(tmp_path: Path, meta: dict[str, Any]) -> None:
    config = {"materialized": "table", "contract": {"enforced": True}, "meta": meta}
    assert problems_of_signal(tmp_path, SIGNAL_YML, config=config)


def test_one_broken_signal_takes_no_other_down(tmp_path: Path) -> None:
    broken = SIGNAL_YML.replace("invoice_overdue", "broken").replace("owner:", "Owner:")
    lost = signal_using("nowhere").replace("invoice_overdue", "lost")
    catalog = compiled(
        tmp_path, {"notify_owner": PLAYBOOK_YAML.replace("nudge", "notify_owner")}, SIGNAL_YML, broken, lost
    )
    assert set(catalog.signals) == {"invoice_overdue"}
    assert set(catalog.quarantined) == {"broken", "lost"}
    assert [p.key for p in catalog.quarantined["broken"].problems] == ["owner", "Owner"]


def test_a_broken_playbook_quarantines_only_who_uses_it(tmp_path: Path) -> None:
    playbooks = {"notify_owner": PLAYBOOK_YAML.replace("nudge", "notify_owner"), "nudge": "steps: ["}
    other = signal_using("nudge").replace("invoice_overdue", "other")
    catalog = compiled(tmp_path, playbooks, SIGNAL_YML, other)
    assert set(catalog.signals) == {"invoice_overdue"}
    assert catalog.quarantined["other"].problems[0].file == "playbooks/nudge.yaml"


def test_what_the_manifest_says_of_the_shipped_signals() -> None:
    found = read_signals(prepared_project().manifest(), PROJECT_ROOT / "dbt_signals")
    assert found.quarantined == {}
    assert set(found.drafts) == {"customer_churn_risk", "deal_won", "product_low_stock"}
    churn = found.drafts["customer_churn_risk"]
    assert churn.columns["customer_name"].is_pii
    assert not churn.columns["contract"].is_pii
    assert churn.sql_file == "models/signals/retention/customer_churn_risk.sql"
    assert any("unique_customer_churn_risk_entity_id" in test for test in churn.tests)
    assert "landing.customers" in churn.sources


def test_sources_and_tests_are_those_that_lead_to_the_signal() -> None:
    manifest = prepared_project().manifest()
    stock = read_signals(manifest, PROJECT_ROOT / "dbt_signals").drafts["product_low_stock"]
    assert "landing.stock_levels" in stock.sources
    assert "landing.opportunities" not in stock.sources
    for test in stock.tests:
        manifest["nodes"][test]["config"]["severity"] = "warn"
    assert read_signals(manifest, PROJECT_ROOT / "dbt_signals").drafts["product_low_stock"].tests == ()


def test_enrichment_may_read_every_model_that_is_no_signal() -> None:
    models = read_models(prepared_project().manifest())
    assert {"customer_contacts", "do_not_contact", "supplier_terms"} <= set(models)
    assert not {"customer_churn_risk", "deal_won"} & set(models)
