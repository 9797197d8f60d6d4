"""Fills a SQLite ledger with a million actions by set-based SQL and measures how fast each page of the console answers.

.venv/bin/python benchmarks/console_pages.py --actions 1000000 --folder build/console_pages
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reporting import Plot, Report, Say, Table
from sqlalchemy import Connection, select, text

from dagster_project.console.application import build_application
from dagster_project.console.desk import Desk, open_desk
from dagster_project.console.exposure import Exposure
from dagster_project.ledger.database import Database, open_database
from dagster_project.ledger.schema import actions, builds, sampled_records
from dagster_project.prepare import current_catalog
from dagster_project.settings import settings

BUILDS = 90  # of each signal, one a day
ACTIONS_AN_EVENT = 2
REPEATS = 15
SEQUENCE = "with recursive n(i) as (select 0 union all select i + 1 from n where i < :last)"

# Of a thousand actions: 2 held, 5 dead, 20 waiting, 150 suppressed, the rest delivered.
STATE = """case when i % 1000 < 2 then 'held' when i % 1000 < 7 then 'dead' when i % 1000 < 27 then 'waiting'
           when i % 1000 < 177 then 'suppressed' else 'delivered' end"""
REASON = """case when i % 1000 < 1 then 'needs_approval' when i % 1000 < 2 then 'volume_guard'
            when i % 1000 < 4 then 'not_found' when i % 1000 < 7 then 'server_error' when i % 1000 < 17 then ''
            when i % 1000 < 27 then 'rate_limited' when i % 1000 < 100 then 'cool_down'
            when i % 1000 < 177 then 'superseded' else '' end"""


def fill(database: Database, signals: list[str], count: int, now: datetime) -> None:
    """Builds, events, actions, requests, attempts and audit rows as the loop would have left them."""
    with database.writing() as connection:
        rows = [_build(signal, number, now, count) for signal in signals for number in range(1, BUILDS + 1)]
        connection.execute(builds.insert(), rows)
        given = {"last": count - 1, "signals": len(signals), "builds": BUILDS, "per": ACTIONS_AN_EVENT}
        connection.execute(text(f"create temp table names as {_names(signals)}"))
        connection.execute(text(f"create temp table deeds as {SEQUENCE} {_DEEDS}"), given)
        for statement in (_EVENTS, _ACTIONS, _REQUESTS, _ATTEMPTS, _PLANNED, _SETTLED, _SAMPLES, _SAMPLED, _CRITERIA):
            connection.execute(text(statement))
        connection.execute(text("analyze"))


def _build(signal: str, number: int, now: datetime, count: int) -> dict[str, object]:
    at = now - timedelta(days=BUILDS - number, hours=1)
    opened = count // ACTIONS_AN_EVENT // BUILDS // 3
    moments = dict.fromkeys(("data_as_of", "captured_at", "released_at", "ingested_at"), at)
    counts = {"population": 100_000, "flagged": opened, "opened": opened, "escalated": 0, "resolved": 0}
    known = {"build_id": f"{signal}-{number}", "signal": signal, "build_no": number, "handling": "planned"}
    return {**known, **moments, **counts, "code_version": "c", "criteria_version": "k", "detail": ""}


def _names(signals: list[str]) -> str:
    return " union all ".join(f"select {place} as k, '{signal}' as signal" for place, signal in enumerate(signals))


_DEEDS = f"""
    select i, i / :per as event, i % :per as place, names.signal,
           names.signal || '-' || (1 + (i / :per / :signals) % :builds) as build_id,
           1 + (i / :per / :signals) % :builds as build_no,
           'C' || substr('000000000' || ((i / :per) % 100000), -9) as entity_id, {STATE} as state, {REASON} as reason
    from n join names on names.k = (i / :per) % :signals"""
_EVENTS = """
    insert into events (event_id, build_id, signal, entity_id, episode, kind, severity, score, observed_at, emitted_at,
                        row_json, reason)
    select 'e' || event, deeds.build_id, deeds.signal, entity_id, 1 + event / 100000, 'opened', 'high', 0.9,
           captured_at, captured_at, '{"entity_id": "' || entity_id || '", "reason": "because"}', ''
    from deeds join builds on builds.build_id = deeds.build_id where place = 0"""
_ACTIONS = """
    insert into actions (action_id, is_group, event_id, build_id, build_no, signal, entity_id, episode, kind, step,
        step_index, role, destination, operation, idempotency, playbook_version, severity_rank, is_required, state,
        reason, detail, is_ready, is_sealed, is_approved, planned_at, due_at, attempts, settled_at, external_id, url)
    select 'a' || i, 0, 'e' || event, deeds.build_id, deeds.build_no, deeds.signal, entity_id, 1 + event / 100000,
           'opened', 'step_' || place, place, 'crm', case place when 0 then 'hubspot' else 'slack' end, 'assign_task',
           'upsert', 'v', 1 + i % 4, place = 0, state, deeds.reason, '', state = 'waiting' and i % 3 > 0,
           state <> 'waiting', 0, captured_at,
           case when state = 'waiting' and i % 2 then datetime(captured_at, '+100 days') else captured_at end, 1,
           case when state in ('held', 'waiting') then null
                else datetime(captured_at, '+' || (30 + i % 900) || ' seconds') end,
           case state when 'delivered' then 'x' || i end, null
    from deeds join builds on builds.build_id = deeds.build_id"""
_REQUESTS = """
    insert into requests (action_id, arguments_json, rendered_at)
    select action_id, '{"subject": "Call them", "email": "ada@example.com"}', planned_at from actions
    where state in ('held', 'dead', 'delivered')"""
_ATTEMPTS = """
    insert into attempts (action_id, number, destination, run_id, lease_token, begun_at, ended_at, verdict, reason,
                          detail, is_counted)
    select action_id, 1, destination, 'run-' || build_no, 't', settled_at, settled_at,
           case state when 'dead' then 'rejected' else 'delivered' end, '', '', 1
    from actions where state in ('dead', 'delivered')"""
_PLANNED = """
    insert into audit (at, actor, verb, signal, build_id, action_id, from_state, to_state, reason, detail)
    select planned_at, 'loop', 'planned', signal, build_id, action_id, null, 'waiting', '', '' from actions"""
_SETTLED = """
    insert into audit (at, actor, verb, signal, build_id, action_id, from_state, to_state, reason, detail)
    select coalesce(settled_at, planned_at), case when rowid % 5000 then 'run:' || build_no else 'ada' end,
           case when rowid % 5000 then 'attempted' else 'replayed' end, signal, build_id, action_id, 'waiting', state,
           reason, '' from actions where state <> 'waiting'"""


# Two years of daily samples of 50, and 200 versions of the thresholds.
_SAMPLES = """
    with recursive n(i) as (select 0 union all select i + 1 from n where i < 730)
    insert into samples (sample_id, cadence, seed, since, until, strata_json, drawn_at)
    select 's' || i, 'daily', i, datetime('now', '-' || (i + 1) || ' days'), datetime('now', '-' || i || ' days'), '{}',
           datetime('now', '-' || i || ' days') from n"""
_SAMPLED = """
    insert into sampled_records (sample_id, action_id, signal, step, destination, external_id, verdict, findings_json,
                                 read_json, is_in_time, checked_at)
    select samples.sample_id, actions.action_id, actions.signal, actions.step, actions.destination, external_id,
           case when actions.rowid % 400 then 'match' else 'mismatch' end, '["differs: email"]',
           '{"expected": {"email": "a"}, "found": {"email": "b"}}', 1, drawn_at
    from samples join (select rowid, * from actions where state = 'delivered' limit 50) as actions"""
_CRITERIA = """
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 200)
    insert into criteria (name, number, value_json, state, why, preview_json, proposed_by, proposed_at, decided_by,
                          decided_why, decided_at)
    select 'churn_threshold', i, '0.8', case i when 200 then 'in_force' else 'superseded' end, 'more reach', '{}',
           'eddie', datetime('now', '-' || (401 - 2 * i) || ' days'), 'abe', 'yes',
           datetime('now', '-' || (400 - 2 * i) || ' days') from n"""


def pages(connection: Connection, signal: str) -> dict[str, str]:
    """Every page of the console, with what it is asked for."""
    held = connection.execute(select(actions.c.action_id).where(actions.c.action_id == "a0")).scalar_one()
    sampled = connection.execute(
        select(sampled_records.c.action_id).where(sampled_records.c.sample_id == "s1")
    ).scalars()
    cause = f"signal={signal}&reason=server_error&destination=hubspot"
    return {
        "overview": "/",
        "story of an entity": "/story/C000000563",
        "story of an action": "/story/a1003",
        "search, external id": "/search?q=x999",
        "search, beginning of an id": "/search?q=C0000012",
        "held": "/queues/held",
        "dead": "/queues/dead",
        "dead, one cause": f"/queues/dead?{cause}",
        "delayed": "/queues/waiting",
        "delayed, due, page 50": "/queues/waiting?kind=due&page=50",
        "suppressed": "/queues/suppressed",
        "suppressed, one signal": f"/queues/suppressed?signal={signal}",
        "review of one": f"/review/approve?id={held}",
        "review of a cause": f"/review/replay?{cause}",
        "signals": "/signals",
        "one signal": f"/signals/{signal}",
        "criteria": "/criteria",
        "one threshold, 200 versions": "/criteria/churn_threshold",
        "samples": "/samples",
        "samples, a rare verdict": f"/samples?verdict=mismatch&signal={signal}",
        "samples, nothing found": "/samples?verdict=gone",
        "one sample": f"/samples/s1/{sampled.first()}",
        "audit, people": "/audit",
        "audit, everybody": "/audit?who=everybody",
        "audit, nothing found": "/audit?who=everybody&actor=nobody",
    }


async def call(application: object, path: str, cookie: str) -> tuple[int, str]:
    """Status, and the cookie that came with it."""
    raw, _, query = path.partition("?")
    headers = [(b"host", b"127.0.0.1"), (b"cookie", cookie.encode())]
    scope = {"type": "http", "method": "GET", "path": raw, "raw_path": raw.encode(), "query_string": query.encode(),
             "root_path": "", "scheme": "http", "http_version": "1.1", "headers": headers,
             "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}  # fmt: skip
    started: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict) -> None:
        started.append(message)

    await application(scope, receive, send)  # type: ignore[operator]
    given = next((v.decode().partition(";")[0] for n, v in started[0]["headers"] if n == b"set-cookie"), cookie)
    return started[0]["status"], given


async def measure(desk: Desk, listed: dict[str, str], repeats: int) -> tuple[float, dict[str, list[float]]]:
    """Seconds of the first overview after a start, and the milliseconds of each page, as often as it was asked for."""
    application = build_application(desk, Exposure("127.0.0.1"))
    began = time.perf_counter()
    status, cookie = 0, ""
    while status != 200:  # a busy machine takes longer to count than a page waits
        status, cookie = await call(application, "/", cookie)
    first = time.perf_counter() - began
    taken: dict[str, list[float]] = {name: [] for name in listed}
    for name, path in listed.items():
        for _ in range(repeats):
            began = time.perf_counter()
            status, cookie = await call(application, path, cookie)
            taken[name].append((time.perf_counter() - began) * 1000)
            if status != 200 and not name.startswith("search"):
                raise RuntimeError(f"{path} was answered {status}")
    return first, taken


def console(say: Say, actions: int = 1_000_000, repeats: int = REPEATS) -> Report:
    """Every page of the console over a filled ledger (SQLite), in the application, without the wire.

    Parameters: how many actions the ledger has, two an event; how often each page is asked for.
    """
    with tempfile.TemporaryDirectory() as folder:
        first, taken = measured_in(Path(folder), actions, repeats, say)
    return report_of(first, taken, actions)


def measured_in(folder: Path, count: int, repeats: int, say: Say) -> tuple[float, dict[str, list[float]]]:
    """What `measure` gives, with the ledger of that size in a folder, filled unless it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"ledger-{count}.sqlite"
    is_new = not file.exists()
    database = open_database(f"sqlite:///{file}")
    catalog = current_catalog(settings())
    signals = sorted(catalog.signals)[:3]
    if is_new:
        began = time.perf_counter()
        fill(database, signals, count, datetime.now(UTC))
        say(f"a ledger of {count:,} actions filled in {time.perf_counter() - began:.0f} s")
    with database.reading() as connection:
        listed = pages(connection, signals[0])
    found = asyncio.run(measure(open_desk(settings(), database, lambda: catalog), listed, repeats))
    database.close()
    return found


def report_of(first: float, taken: dict[str, list[float]], count: int) -> Report:
    rows = tuple(
        (name, f"{statistics.median(taken_ms):.0f}", f"{max(taken_ms):.0f}") for name, taken_ms in taken.items()
    )
    return Report(
        tables=(Table(columns=("page", "median ms", "slowest ms"), rows=rows),),
        plots=(
            Plot(
                name="console",
                title=f"Pages of the console, {count:,} actions: median",
                unit="ms",
                bars=tuple((name, statistics.median(taken_ms)) for name, taken_ms in taken.items()),
                ours=tuple(taken),
            ),
        ),
        notes=(f"The first overview after a start took {first:.1f} s.",),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actions", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, required=True, help="Where the ledger is kept, for the next time too.")
    chosen = parser.parse_args()
    first, taken = measured_in(chosen.folder, chosen.actions, REPEATS, print)
    report = report_of(first, taken, chosen.actions)
    print(report.tables[0].as_markdown(), *report.notes, sep="\n\n")


if __name__ == "__main__":
    main()
