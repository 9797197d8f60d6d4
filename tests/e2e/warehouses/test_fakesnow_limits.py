"""What fakesnow cannot run of what the project sends: each as it comes, and with the tests' server's help."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import snowflake.connector.errors
from scripting_block import UnknownStatement, run_block
from snowflake_server import REPOSITORY, SnowflakeServer, serving

PAGE = REPOSITORY / "docs" / "warehouses.md"
BLOCK = """execute immediate $$
declare
  overtaken exception (-20001, 'too late');
  last_build_no integer;
begin
  create or replace temporary table scratch_limits (n integer);
  begin transaction;
  select coalesce(max(n), 0) into :last_build_no from scratch_limits;
  if (last_build_no <> 0) then
    raise overtaken;
  end if;
  commit;
exception
  when other then
    rollback;
    raise;
end;
$$"""
# the name under which docs/warehouses.md lists it: the statements, and what they must give
LIMITS: dict[str, tuple[list[str], list[tuple[object, ...]]]] = {
    "the block of the event capture": ([BLOCK, "select count(*) from scratch_limits"], [(0,)]),
    "a temporary table with a schema before its name": (
        [
            "create or replace temporary table loop.public.limits_tmp as (select 1 as n)",
            "select n from loop.public.limits_tmp",
        ],
        [(1,)],
    ),
    "a table made inside a transaction that has written": (
        [
            "create or replace table limits_first (n integer)",
            *("begin transaction", "insert into limits_first values (1)"),
            "create or replace table limits_second (name varchar(20))", "commit", "select count(*) from limits_second",
        ],
        [(0,)],
    ),
    "a null moment": (["select cast(null as timestamp_ntz)"], [(None,)]),
}  # fmt: skip


@pytest.fixture(scope="module")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnowflakeServer]:
    with serving(tmp_path_factory.mktemp("plain"), is_plain=True) as server:
        yield server


@pytest.mark.parametrize("name", LIMITS)
def test_the_tests_server_runs_it(snowflake_server: SnowflakeServer, name: str) -> None:
    statements, expected = LIMITS[name]
    assert snowflake_server.run(*statements) == expected


# the client repeats what was answered with status 500, and asks to cancel it when it gives up
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", LIMITS)
def test_plain_fakesnow_does_not(plain_server: SnowflakeServer, name: str) -> None:
    """When one of these fails, fakesnow has learnt it: take it out here, out of the server, and out of the page."""
    statements, expected = LIMITS[name]
    try:
        found = plain_server.run(*statements, within_seconds=3)
    except snowflake.connector.errors.Error:
        return
    assert found != expected


@pytest.mark.parametrize("name", LIMITS)
def test_the_page_names_it(name: str) -> None:
    assert name in Path(PAGE).read_text(encoding="utf-8").lower()


@pytest.mark.parametrize(
    ("block", "what"),
    [
        ("begin commit; end;", "begins with `declare`"),
        ("declare n integer; begin for i in 1 to 3 do commit; end for; end;", "not a statement that is known: for"),
        ("declare c cursor for select 1; begin commit; end;", "not a declaration that is known: c cursor"),
    ],
)
def test_a_block_of_another_kind_is_refused(block: str, what: str) -> None:
    ran: list[str] = []

    def execute(sql: str) -> list[tuple[object, ...]]:
        ran.append(sql)
        return []

    with pytest.raises(UnknownStatement, match=what):
        run_block(block, execute)
    assert ran == []
