"""Bad rows: refused with their reason or passed on as the data they are, and the other signals go on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from e2e.bad_input.disturbed_loop import rows
from e2e.loop.loop_driver import Loop, running_loop
from e2e.mistakes.planted_loop import NOBODY, SOME, Project, change

HOSTILE = (
    "He said \"no\" & 'never' \n<script>alert(1)</script> *bold* <!channel> {{ 7*7 }} {% for x in y %} 🚀 \\u0000 é"
)
HUGE = 1.7976931348623157e308
FLOOD = 30_000  # forty accounts were there
LARGE_FLOOD = 10_000_000
SMALL_MEMORY = 10_000  # events of one build that a process with little memory takes in

PLAYBOOK = """\
name: tell_everywhere
description: Say it in every form there is.
parameters:
  message: {description: What is said.}
steps:
  - name: chat
    role: chat
    operation: post_message
    is_internal: true
    with:
      channel: "#signals"
      title: "{{ event.reason }}"
      text: "{{ parameters.message }}"
      fields: {Reason: "{{ event.reason }}", Score: "{{ event.score }}"}
  - name: mail
    role: mail
    operation: send_email
    is_internal: true
    with:
      to: desk@example.com
      subject: "{{ event.entity_id }}"
      text: "{{ event.reason }}"
      html: "<p>{{ event.reason }}</p>"
  - name: hook
    role: hook
    operation: send_event
    is_internal: true
    with:
      type: signal-loop.told
      source: /signals
      data: {reason: "{{ event.reason }}", score: "{{ event.score }}"}
  - name: task
    role: crm
    operation: upsert_company
    is_internal: true
    with: {entity_id: "{{ event.entity_id }}", name: "{{ event.reason }}"}
"""


@dataclass(frozen=True)
class Told:
    loop: Loop
    said: str  # while the flood was more than the process takes in at once
    said_later: str  # once it was allowed to


def _plant(project: Project) -> None:
    (project.folder / "playbooks" / "tell_everywhere.yaml").write_text(PLAYBOOK, encoding="utf-8")
    for name in ("customer_hostile_text", "customer_huge_score", "customer_nan_score", "customer_flood"):
        project.add_signal(name)
    for name in ("customer_hostile_text", "customer_huge_score"):
        change(project.yml(name), "playbook: notify_owner", "playbook: tell_everywhere")
        change(project.yml(name), '            channel: "#signals"\n', "")
    flood = project.sql("customer_flood")
    change(flood, "ref('active_customers')", "ref('stg_accounts')")
    change(flood, "cast(customer_id as", "cast(account_id as")
    change(project.yml("customer_flood"), "population: active_customers", "population: stg_accounts")


def _flag(project: Project) -> None:
    for name, old, new in (
        ("customer_hostile_text", "'Say what is wrong and what to do.'", "'" + HOSTILE.replace("'", "''") + "'"),
        ("customer_huge_score", "cast(null as double precision)", f"cast('{HUGE}' as double precision)"),
        ("customer_nan_score", "cast(null as double precision)", "cast('NaN' as double precision)"),
    ):
        change(project.sql(name), old, "{% raw %}" + new + "{% endraw %}")
        change(project.sql(name), NOBODY, SOME)
    change(project.sql("customer_flood"), NOBODY, "")


def _flood(loop: Loop, count: int) -> None:
    with duckdb.connect(str(loop.state_dir / "warehouse.duckdb")) as connection:
        connection.execute(
            "insert into landing.accounts select 10000 + i, 'A' || lpad(i::varchar, 12, '0'), 'Flood', 'SMB', "
            f"(select max(loaded_at) from landing.accounts) from range({count}) as flood(i)"
        )


def _break_landing(loop: Loop) -> None:
    """In three tables a column is gone, renamed, or of another type."""
    with duckdb.connect(str(loop.state_dir / "warehouse.duckdb")) as connection:
        connection.execute("alter table landing.opportunities drop column stage")
        connection.execute("alter table landing.product_suppliers rename column unit_price to price_of_a_unit")
        connection.execute("alter table landing.stock_levels alter column quantity type integer using 1")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("bad_rows")
    project = Project.copied_to(folder)
    _plant(project)
    with running_loop(folder / "state", project.environment) as loop:
        loop.play_day(1)
        loop.land_day(2)
        _flag(project)
        _flood(loop, FLOOD)
        _break_landing(loop)
        small = replace(loop, more_environment={**loop.more_environment, "LOOP_LARGEST_BUILD": str(SMALL_MEMORY)})
        said = small.loopctl("tick", exit_status=1)
        yield Told(loop, said, loop.loopctl("tick", "--no-build"))


def test_text_with_quotes_newlines_emoji_and_template_syntax_stays_text(told: Told) -> None:
    signal = "customer_hostile_text"
    states = rows(told.loop, f"select step, state, count(*) from actions where signal = '{signal}' group by 1, 2")
    assert states == [(step, "delivered", 4) for step in ("chat", "hook", "mail", "task")]


def test_hostile_text_breaks_no_slack_block(told: Told) -> None:
    texts = sandbox_rows(told.loop, "select text, blocks from slack_messages where text like '%script%'")
    assert len(texts) == 4
    for text, blocks in texts:
        assert "<script>" not in text and "<!channel>" not in text, "markup of the data must not be markup"
        assert "&lt;script&gt;" in text
        assert "{{ 7*7 }}" in json.dumps(json.loads(blocks), ensure_ascii=False)


def test_a_huge_score_passes_and_is_what_it_was(told: Told) -> None:
    bodies = sandbox_rows(told.loop, "select body from hooks where cast(body as text) like '%e+308%'")
    assert len(bodies) == 4
    assert all(json.loads(body)["data"]["score"] == HUGE for (body,) in bodies)


def test_a_score_that_is_no_number_is_refused_by_the_build(told: Told) -> None:
    (line,) = [line for line in told.said.splitlines() if "customer_nan_score.sql" in line]
    assert "refused, nothing was captured: 4 row(s) with NaN or infinity in score" in line
    assert rows(told.loop, "select count(*) from actions where signal = 'customer_nan_score'") == [(0,)]


def test_many_times_the_rows_that_were_there_are_held_by_the_guard(told: Told) -> None:
    assert_held(told.loop, told.said_later, FLOOD)


def test_a_build_larger_than_the_memory_allows_is_refused_before_it_is_read(told: Told) -> None:
    assert_too_large(told.said)


@pytest.mark.long
def test_ten_million_rows_where_forty_were_are_refused_before_they_are_read(tmp_path: Path) -> None:
    project = Project.copied_to(tmp_path)
    _plant(project)
    with running_loop(tmp_path / "state", project.environment) as loop:
        loop.play_day(1)
        loop.land_day(2)
        change(project.sql("customer_flood"), NOBODY, "")
        _flood(loop, LARGE_FLOOD)
        assert_too_large(loop.loopctl("tick", exit_status=1))
        assert rows(loop, "select count(*) from actions where signal = 'customer_flood'") == [(0,)]
        assert loop.sandbox.effects(), "the other signals go on"


def assert_too_large(said: str) -> None:
    (line,) = [line for line in said.splitlines() if line.startswith("customer_flood:")]
    assert "more than LOOP_LARGEST_BUILD" in line
    assert "nothing of it was planned or sent, and it stays in the warehouse" in line


def assert_held(loop: Loop, said: str, flood: int) -> None:
    (line,) = [line for line in said.splitlines() if line.startswith("customer_flood:")]
    assert "held" in line
    states = rows(loop, "select state, reason, count(*) from actions where signal = 'customer_flood' group by 1, 2")
    assert [state[:2] for state in states] == [("held", "volume_guard")]
    assert states[0][2] >= flood


def test_a_column_gone_renamed_or_of_another_type_stops_only_what_is_made_from_it(told: Told) -> None:
    assert "Invalid column name: 'stage' in unit test fixture for 'opportunities'" in told.said, (
        "the column that is gone"
    )
    assert "models/staging/typed_product_suppliers.sql: " in told.said, "the column that was renamed"
    assert "models/staging/typed_stock_levels.sql: " in told.said, "the column of another type"
    assert rows(told.loop, "select count(*) from actions where signal in ('deal_won', 'product_low_stock')") == [(0,)]
    churn = "select count(*) from actions where signal = 'customer_churn_risk' and state = 'delivered'"
    assert rows(told.loop, churn)[0][0] > 0


def sandbox_rows(loop: Loop, sql: str) -> list[tuple[Any, ...]]:
    store = loop.state_dir / "sandbox" / "sandbox.sqlite3"
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()
