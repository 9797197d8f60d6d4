"""The generated company: the same everywhere and every time, alive from day to day, harmless however it is named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.contracts.warehouse import DuckDBTarget, PostgresTarget, WarehouseTarget
from dagster_project.land.connection import transaction
from dagster_project.land.generator import GeneratedCompany, generate, sql_literal
from dagster_project.land.report import LandingError
from dagster_project.land.tables import LANDING_TABLES

AS_OF = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
Query = Callable[[WarehouseTarget, str], list[tuple[Any, ...]]]


def landed(target: WarehouseTarget) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every landing table, in one order for all warehouses."""
    with transaction(target) as connection:
        return {
            table.name: sorted(
                connection.rows(f"select {', '.join(table.all_columns)} from landing.{table.name}"), key=repr
            )
            for table in LANDING_TABLES
        }


def test_equal_companies_are_equal_on_both_warehouses(
    duckdb_target: DuckDBTarget, postgres_target: PostgresTarget
) -> None:
    for company in (
        GeneratedCompany(day=2, as_of=AS_OF),
        GeneratedCompany(seed=-3, customers=77, day=400, as_of=AS_OF),
    ):
        generate(duckdb_target, company)
        generate(postgres_target, company)
        assert landed(duckdb_target) == landed(postgres_target)


def test_a_day_is_the_same_whichever_days_came_before(target: WarehouseTarget) -> None:
    generate(target, GeneratedCompany(day=2, as_of=AS_OF))
    direct = landed(target)
    generate(target, GeneratedCompany(day=1, as_of=AS_OF))
    assert landed(target) != direct
    generate(target, GeneratedCompany(day=2, as_of=AS_OF))
    assert landed(target) == direct


def test_another_seed_is_another_company(duckdb_target: DuckDBTarget) -> None:
    generate(duckdb_target, GeneratedCompany(seed=1, as_of=AS_OF))
    first = landed(duckdb_target)
    generate(duckdb_target, GeneratedCompany(seed=2, as_of=AS_OF))
    second = landed(duckdb_target)
    assert all(
        first[name] != second[name] for name in first if name != "suppliers"
    )  # those are always the same fourteen


def test_as_of_dates_everything_and_is_utc(duckdb_target: DuckDBTarget, query: Query) -> None:
    half_past_midnight_in_the_east = datetime(2026, 3, 15, 0, 30, tzinfo=timezone(timedelta(hours=9)))
    report = generate(duckdb_target, GeneratedCompany(as_of=half_past_midnight_in_the_east))
    assert report.as_of == half_past_midnight_in_the_east
    assert query(duckdb_target, "select distinct loaded_at, counted_on from landing.stock_levels") == [
        (datetime(2026, 3, 14, 15, 30), "2026-03-14")  # noqa: DTZ001 - landed without a zone, in UTC
    ]
    assert query(duckdb_target, "select max(closed_on) from landing.opportunities") <= [("2026-03-14",)]


def test_every_landed_table_is_filled_and_reported(target: WarehouseTarget, query: Query) -> None:
    report = generate(target, GeneratedCompany(as_of=AS_OF))
    assert [table.table for table in report.tables] == [table.name for table in LANDING_TABLES]
    for table in report.tables:
        assert table.rows > 0
        assert query(target, f"select count(*) from landing.{table.table}") == [(table.rows,)]
    assert report.rows("customers") == 1_000


def test_customers_ids_stay_unique_over_generations(duckdb_target: DuckDBTarget, query: Query) -> None:
    seen: set[str] = set()
    for day in (1, 91, 181):
        generate(duckdb_target, GeneratedCompany(day=day, as_of=AS_OF))
        ids = [row[0] for row in query(duckdb_target, "select customer_id from landing.customers")]
        assert len(ids) == len(set(ids)) == 1_000
        newcomers = set(ids) - seen
        assert newcomers  # the restless ones leave and others come
        seen |= newcomers
    assert len(seen) > 1_400


def test_won_deals_stay_won(duckdb_target: DuckDBTarget, query: Query) -> None:
    won = "select opportunity_id, value from landing.opportunities where stage = 'Won'"
    before: set[tuple[Any, ...]] = set()
    for day in range(1, 8):
        generate(duckdb_target, GeneratedCompany(day=day, as_of=AS_OF))
        after = set(query(duckdb_target, won))
        assert before < after  # every day something is won
        before = after


def test_hostile_names_arrive_as_they_are(target: WarehouseTarget, query: Query) -> None:
    generate(target, GeneratedCompany(customers=3_000, day=2, as_of=AS_OF))
    names = {row[0] for row in query(target, "select customer_name from landing.customers")}
    assert {"{{ 7*7 }} <b>Bold</b> & Sons", "${HOME}; drop table customers; --", 'Renée "Rex" O\'Neill 🚀'} <= names


def test_a_million_customers_need_no_loop_in_python() -> None:
    """The statements do not grow with the company: what grows is a number in them."""
    from dagster_project.land.generator import select_for

    small, large = (GeneratedCompany(customers=count, as_of=AS_OF) for count in (1_000, 1_000_000))
    for table in LANDING_TABLES:
        assert len(select_for(table.name, large, "duckdb")) - len(select_for(table.name, small, "duckdb")) < 100


@pytest.mark.parametrize("wrong", [{"customers": 0}, {"day": 0}, {"products": 0}])
def test_a_company_of_nothing_is_refused(wrong: dict[str, int]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is 0"):
        GeneratedCompany(**wrong)


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        GeneratedCompany(as_of=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the mistake


@given(st.text())
def test_a_literal_gives_back_its_text(text: str) -> None:
    import duckdb

    if "\x00" in text:
        return
    assert duckdb.execute(f"select {sql_literal(text)}").fetchone() == (text,)


def test_a_file_that_cannot_be_opened_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "folder.duckdb"
    path.mkdir()
    with pytest.raises(LandingError, match=r"folder\.duckdb cannot be opened for writing.*as they were"):
        generate(DuckDBTarget(path, "analytics"), GeneratedCompany(as_of=AS_OF))


def test_a_file_that_another_process_holds_is_refused_and_kept(duckdb_target: DuckDBTarget) -> None:
    generate(duckdb_target, GeneratedCompany(as_of=AS_OF))
    before = landed(duckdb_target)
    hold = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(duckdb_target.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LandingError, match="If another process holds it, wait until it is done"):
            generate(duckdb_target, GeneratedCompany(day=2, as_of=AS_OF))
        holder.communicate("")
    assert landed(duckdb_target) == before


def test_a_server_that_is_not_there_is_refused_without_its_password() -> None:
    from pydantic import SecretStr

    nobody_listens = PostgresTarget("127.0.0.1", 1, "loop", SecretStr("hush-hush"), "loop", "analytics")
    with pytest.raises(LandingError, match=r"127\.0\.0\.1:1 cannot be reached as loop") as refused:
        generate(nobody_listens, GeneratedCompany(as_of=AS_OF))
    assert "hush-hush" not in str(refused.value)


def test_a_landing_that_fails_half_way_changes_nothing(target: WarehouseTarget, query: Query) -> None:
    generate(target, GeneratedCompany(day=1, as_of=AS_OF))
    before = landed(target)
    with transaction(target) as connection:  # the last table that is filled refuses its rows
        connection.run("alter table landing.opportunities add column later varchar default 'x'")
        connection.run("alter table landing.opportunities alter column later set not null")
        connection.run("alter table landing.opportunities alter column later drop default")
    with pytest.raises(LandingError, match="Nothing was changed"):
        generate(target, GeneratedCompany(day=2, as_of=AS_OF))
    assert landed(target) == before


def test_a_table_of_an_earlier_layout_gets_its_new_columns(target: WarehouseTarget) -> None:
    with transaction(target) as connection:
        connection.run("create schema landing")
        connection.run("create table landing.accounts (account_id varchar)")
    assert generate(target, GeneratedCompany(as_of=AS_OF)).rows("accounts") == 40
    assert landed(target)["accounts"]
