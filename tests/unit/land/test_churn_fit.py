"""The fit finds the weights behind the outcomes, gives the same seed again, and refuses what it cannot learn from."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from math import exp
from pathlib import Path

import pytest

from dagster_project.contracts.warehouse import DuckDBTarget, WarehouseTarget
from dagster_project.land.churn_fit import Customer, FitError, fit_churn_scorecard, is_held_out, read_seed, score
from dagster_project.land.connection import transaction

WEIGHTS = {"intercept": -1.0, "is_new": 2.0, "log_tenure": -0.5, "never_varies": 0.0}


def chance(topic: str, number: int) -> float:
    """A number from 0 to 1 that is the same at every run."""
    return int(hashlib.md5(f"{topic}|{number}".encode()).hexdigest()[:8], 16) / 0x1_0000_0000


def customer_row(number: int, sign: float = 1.0) -> str:
    is_new, log_tenure = float(chance("new", number) < 0.4), round(4 * chance("tenure", number), 6)
    logit = sign * (WEIGHTS["intercept"] + WEIGHTS["is_new"] * is_new + WEIGHTS["log_tenure"] * log_tenure)
    has_left = chance("left", number) < 1 / (1 + exp(-logit))
    return f"('c{number}', {has_left}, {is_new}, {log_tenure}, 0.0)"


def build_features(target: WarehouseTarget, rows: list[str]) -> None:
    with transaction(target) as connection:
        connection.run(f"create schema if not exists {target.schema}")
        connection.run(f"drop table if exists {target.schema}.customer_churn_features")
        connection.run(
            f"create table {target.schema}.customer_churn_features (customer_id varchar, has_left boolean, "
            "is_new double precision, log_tenure double precision, never_varies double precision)"
        )
        if rows:
            connection.run(f"insert into {target.schema}.customer_churn_features values {', '.join(rows)}")


@pytest.fixture
def fitted_target(duckdb_target: DuckDBTarget) -> DuckDBTarget:
    build_features(duckdb_target, [customer_row(number) for number in range(6_000)])
    return duckdb_target


def test_the_weights_behind_the_outcomes_are_found(fitted_target: DuckDBTarget, tmp_path: Path) -> None:
    report = fit_churn_scorecard(fitted_target, tmp_path / "seed.csv", threshold=0.6)
    assert report.coefficients == pytest.approx(WEIGHTS, abs=0.25)
    assert report.constant_features == ("never_varies",)
    assert 0.7 < report.held_out_auc < 0.9
    assert report.precision is not None
    assert report.precision.low <= 0.67 <= report.precision.high  # what those above 0.6 average
    assert report.training_customers + report.held_out_customers == 6_000
    assert "never_varies" in str(report)


def test_a_second_fit_of_the_same_data_changes_nothing(fitted_target: DuckDBTarget, tmp_path: Path) -> None:
    seed = tmp_path / "seed.csv"
    first = fit_churn_scorecard(fitted_target, seed)
    written = seed.read_bytes()
    with transaction(fitted_target) as connection:  # the order of rows in the warehouse is no part of the data
        connection.run(
            "create or replace table analytics.customer_churn_features as "
            "select * from analytics.customer_churn_features order by customer_id desc"
        )
    second = fit_churn_scorecard(fitted_target, seed)
    assert (first.is_new_version, second.is_new_version) == (True, False)
    assert second == replace(first, is_new_version=False)
    assert seed.read_bytes() == written


def test_other_data_makes_a_new_version_beside_the_old(fitted_target: DuckDBTarget, tmp_path: Path) -> None:
    seed = tmp_path / "seed.csv"
    fit_churn_scorecard(fitted_target, seed)
    before = read_seed(seed)
    build_features(fitted_target, [customer_row(number, sign=-1.0) for number in range(2_000)])
    assert fit_churn_scorecard(fitted_target, seed).version == 2
    after = read_seed(seed)
    assert after[: len(before)] == before
    assert {row.version for row in after[len(before) :]} == {2}


def test_a_fit_is_the_same_on_both_warehouses(
    fitted_target: DuckDBTarget, postgres_target: WarehouseTarget, tmp_path: Path
) -> None:
    build_features(postgres_target, [customer_row(number) for number in range(6_000)])
    fit_churn_scorecard(fitted_target, tmp_path / "duckdb.csv")
    fit_churn_scorecard(postgres_target, tmp_path / "postgres.csv")
    assert (tmp_path / "duckdb.csv").read_bytes() == (tmp_path / "postgres.csv").read_bytes()


def test_held_out_customers_do_not_move_the_fit(fitted_target: DuckDBTarget, tmp_path: Path) -> None:
    fit_churn_scorecard(fitted_target, tmp_path / "before.csv")
    held_out = [f"c{number}" for number in range(6_000) if is_held_out(f"c{number}")]
    with transaction(fitted_target) as connection:
        listed = ", ".join(f"'{customer_id}'" for customer_id in held_out[:200])
        connection.run(
            f"update analytics.customer_churn_features set has_left = not has_left where customer_id in ({listed})"
        )
    fit_churn_scorecard(fitted_target, tmp_path / "after.csv")
    assert (tmp_path / "after.csv").read_bytes() == (tmp_path / "before.csv").read_bytes()


def test_without_features_the_command_to_run_is_named(duckdb_target: DuckDBTarget, tmp_path: Path) -> None:
    with pytest.raises(FitError, match=r"customer_churn_features is not there; run `dbt build"):
        fit_churn_scorecard(duckdb_target, tmp_path / "seed.csv")


@pytest.mark.parametrize("rows", [[], [f"('c{number}', false, 1.0, 1.0, 0.0)" for number in range(100)]])
def test_outcomes_that_never_differ_are_refused(duckdb_target: DuckDBTarget, tmp_path: Path, rows: list[str]) -> None:
    build_features(duckdb_target, rows)
    with pytest.raises(FitError, match="needs some who left and some who stayed"):
        fit_churn_scorecard(duckdb_target, tmp_path / "seed.csv")
    assert not (tmp_path / "seed.csv").exists()


@pytest.mark.parametrize(
    "content", ["version,feature\n", "version,feature,coefficient,training_mean\n1,intercept,high,0\n"]
)
def test_a_seed_that_no_fit_wrote_is_left_alone(fitted_target: DuckDBTarget, tmp_path: Path, content: str) -> None:
    seed = tmp_path / "seed.csv"
    seed.write_text(content)
    with pytest.raises(FitError, match=r"seed\.csv .*left as it is"):
        fit_churn_scorecard(fitted_target, seed)
    assert seed.read_text() == content


def test_a_score_is_a_probability_however_large_the_logit() -> None:
    coefficients = {"intercept": 0.0, "is_new": 1e200}
    for value in (-1e100, 0.0, 1e100):
        assert 0 <= score(("is_new",), coefficients, Customer("c", False, (value,))) <= 1
