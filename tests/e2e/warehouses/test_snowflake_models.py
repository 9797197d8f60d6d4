"""The shipped project on Snowflake's protocol: all of it builds, and says what DuckDB says."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from shipped_build import SCHEMA, ShippedBuild, build_both
from snowflake_dialect import defects_of, parts_of
from snowflake_server import SnowflakeServer

from dagster_project.contracts.catalog import CaptureRelations
from dagster_project.contracts.vocabulary import Kind
from dagster_project.detect.warehouse_reading import (
    events_of,
    flagged_severities,
    reading,
    released_builds,
    rows_by_key,
)
from dagster_project.settings import Settings

SIGNALS = ["customer_churn_risk", "product_low_stock", "deal_won"]
COMPARED = [
    *SIGNALS,
    *("customer_churn_scores", "customer_churn_drivers", "product_stock_positions", "product_preferred_suppliers"),
    *("rejected_rows", "landing_accounting", "stg_customers", "stg_opportunities"),
    *("customer_contacts", "customer_plans", "account_owners", "do_not_contact"),
]


@pytest.fixture(scope="module")
def built(snowflake_server: SnowflakeServer, tmp_path_factory: pytest.TempPathFactory) -> ShippedBuild:
    return build_both(snowflake_server, tmp_path_factory.mktemp("shipped"))


def test_every_model_seed_and_test_succeeds(built: ShippedBuild) -> None:
    assert built.is_success, built.said[-6000:]
    results = json.loads((built.workspace / "snowflake/target/run_results.json").read_text(encoding="utf-8"))["results"]
    kinds = Counter(result["unique_id"].partition(".")[0] for result in results)
    assert set(Counter(result["status"] for result in results)) <= {"success", "pass", "warn"}
    assert set(kinds) >= {"model", "seed", "test", "unit_test"}
    assert kinds["model"] > 40


@pytest.mark.parametrize("relation", COMPARED)
def test_the_same_rows_as_on_duckdb(built: ShippedBuild, relation: str) -> None:
    columns = built.columns(relation)
    expected = built.duckdb_rows(relation, columns)
    assert expected, "nothing is compared"
    assert built.snowflake_rows(relation, columns) == expected


def test_the_shipped_settings_lead_the_reader_to_what_was_built(
    built: ShippedBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in built.server.environment(SCHEMA).items():
        monkeypatch.setenv(name, value)
    target = Settings(_env_file=None).warehouse_target
    names = {name: f"loop.{SCHEMA}.signal_{name}" for name in ("incarnation", "builds", "events", "state")}
    capture = CaptureRelations(**names)
    with reading(target) as warehouse:
        for signal in SIGNALS:
            [build] = released_builds(warehouse, capture, signal)
            events = events_of(warehouse, capture, build.build_id)
            flagged = flagged_severities(warehouse, f"loop.{SCHEMA}.{signal}")
            assert build.is_baseline
            assert Counter(event.kind for event in events) == {Kind.OPENED: build.opened}
            assert {event.entity_id: event.severity for event in events} == flagged
        ids = list(flagged_severities(warehouse, f"loop.{SCHEMA}.customer_churn_risk"))
        plans = rows_by_key(warehouse, f"loop.{SCHEMA}.customer_plans", "customer_id", ["plan", "monthly_charges"], ids)
    assert set(plans) == set(ids)


def statements(built: ShippedBuild) -> dict[str, set[str]]:
    """Every statement that dbt sent, by the node that it was sent for."""
    found: dict[str, set[str]] = {}
    for sent in built.server.sent():
        if '"app": "dbt"' in sent.sql:
            node = re.search(r'"node_id": "([^"]+)"', sent.sql)
            found.setdefault(node[1] if node else "hooks", set()).add(sent.sql)
    return found


def test_every_statement_of_every_node_is_snowflakes(built: ShippedBuild) -> None:
    sent = statements(built)
    results = json.loads((built.workspace / "snowflake/target/run_results.json").read_text(encoding="utf-8"))["results"]
    assert {result["unique_id"] for result in results} - {"hooks"} <= set(sent) | {
        result["unique_id"] for result in results if result["unique_id"].startswith("operation.")
    }
    defects = {f"{node}: {defect.why}" for node, texts in sent.items() for text in texts for defect in defects_of(text)}
    assert sorted(defects) == []


def test_the_captures_block_was_among_them(built: ShippedBuild) -> None:
    blocks = [
        text for node, texts in statements(built).items() for text in texts
        if node.endswith("customer_churn_risk") and "execute immediate" in text
    ]  # fmt: skip
    kinds = [re.match(r"\w+", part)[0].lower() for part in parts_of(blocks[0])]  # type: ignore[index]
    assert kinds == ["create", "update", "select", "if", "insert", "select", "if", "insert", "merge", "insert"]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("select 1 from t where a is not true", "IS is for null only"),
        ("select regexp_like(a, '^[0-9]{4}') from t", "anchors the pattern"),
        ("select greatest(a, null) from t", "are null in Snowflake"),
        ("select from where", "not Snowflake's syntax"),
        ("do something strange", "not Snowflake's syntax|does not look into it"),
    ],
)
def test_the_judge_sees_what_it_must(sql: str, why: str) -> None:
    [defect, *_] = defects_of(sql)
    assert re.search(why, defect.why)
