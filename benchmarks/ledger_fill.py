"""Fills a ledger with years of history by set-based SQL, so that what it costs to keep so much can be measured.

A thousand events a day over three signals, three actions an event, one of them in a group of the build's orders. A
larger ledger has more days, not more a day: of a thousand events 100 are suppressed, and of those of the last days 3
have a dead step, 2 a held one and 5 one that is tried again later; the rest is delivered. On top, 1,000 events of each
signal are taken in as a sensor takes them in: they are due. The audit trail has an entry for the planning and one for
the end of each action; the history's part of it is one batch a chain whose head proves nothing, which `loopctl audit
verify` would rightly refuse.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection, Index, insert, select, text

from dagster_project.contracts.catalog import CaptureRelations, Catalog, CatalogSignal
from dagster_project.contracts.destination import IdempotencyClass
from dagster_project.contracts.event import Build, SignalEvent
from dagster_project.contracts.playbook import Playbook, PlaybookVersion, Step
from dagster_project.contracts.signal import SignalSpec
from dagster_project.contracts.vocabulary import Kind, Mode, Severity
from dagster_project.ledger.database import Database
from dagster_project.ledger.intake import bind_incarnation, take_in
from dagster_project.ledger.modes import declare_mode
from dagster_project.ledger.planning import BoundOperation
from dagster_project.ledger.row_counts import add_counts, recount
from dagster_project.ledger.schema import actions, attempts, audit, audit_batches, builds, events, requests

SIGNALS = ("customer_churn_risk", "deal_won", "product_low_stock")
EVENTS_A_DAY = 1000
DUE_EVENTS = 1000  # of each signal, taken in last
RECENT_DAYS = 7  # of them some work is not finished yet
ENTITIES = 100_000
REGIONS = 10  # groups of one build
INCARNATION = "bench"
PLAYBOOK = Playbook(
    name="reach_out",
    description="Join, then tell; and a line in the region's order.",
    steps=(
        Step(name="join", role="crm", operation="add"),
        Step(name="tell", role="hook", operation="post", needs=("join",)),
        Step(name="order", role="erp", operation="order", group_by="row.region"),
    ),
)
BOUND = {
    "join": BoundOperation("hubspot", IdempotencyClass.UPSERT),
    "tell": BoundOperation("webhook", IdempotencyClass.IDEMPOTENCY_KEY),
    "order": BoundOperation("tryton", IdempotencyClass.FIND_THEN_CREATE),
}
GROWING = (builds, events, actions, requests, attempts, audit)


def catalog_of() -> Catalog:
    """The three signals that the ledger is about."""
    spec = {
        "entity": "customer",
        "owner": "team:bench",
        "mode": "live",
        "fresh_within": {"days": 2},
        "act_within": {"hours": 4},
        "playbook": PLAYBOOK.name,
        "guards": {"opened": {"count": 10_000_000}},
    }
    signals = {
        name: CatalogSignal(
            name=name,
            unique_id=f"model.bench.{name}",
            relation=name,
            description="",
            columns={},
            spec=SignalSpec.model_validate(spec),
            version=PlaybookVersion(signal=name, playbook=PLAYBOOK, parameters={}),
            sources=(),
            tests=(),
            sql_file="",
            yml_file="",
        )
        for name in SIGNALS
    }
    capture = CaptureRelations(incarnation="i", builds="b", events="e", state="s")
    return Catalog(sources_hash="", warehouse="duckdb", capture=capture, signals=signals, models={})


def fill(database: Database, event_count: int) -> None:
    """Makes an empty ledger one of so many events and about three times as many actions."""
    now = database.now()
    catalog = catalog_of()
    bind_incarnation(database, INCARNATION)
    for name in SIGNALS:
        declare_mode(database, name, Mode.LIVE)
    history = max(0, event_count - DUE_EVENTS * len(SIGNALS))
    days = max(1, history // EVENTS_A_DAY)
    with database.writing() as connection, _without_indexes(connection):
        if not database.is_postgres:
            connection.exec_driver_sql("pragma cache_size = -1000000")  # random keys: pages stay at hand
        for signal in catalog.signals.values():
            _version(connection, signal, now)
        connection.execute(insert(builds), [_build(name, day, days, now) for name in SIGNALS for day in range(days)])
        _history(connection, history, days)
        add_counts(connection, recount(connection))
    for signal in catalog.signals.values():
        take_in_due(database, signal, days + 1, DUE_EVENTS)
    analyze(database)


def analyze(database: Database) -> None:
    """Statistics as PostgreSQL's autovacuum and SQLite's `pragma optimize` keep them."""
    with database.engine.connect() as connection:
        if database.is_postgres:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql("vacuum analyze")
        else:
            connection.exec_driver_sql("analyze")
            connection.exec_driver_sql("pragma wal_checkpoint(truncate)")


def take_in_due(database: Database, signal: CatalogSignal, build_no: int, count: int) -> Build:
    """Takes in a build that opens so many new episodes, as a sensor's tick does it."""
    now = database.now()
    build_id = f"{signal.name}-{build_no}"
    build = Build(build_id, signal.name, build_no, False, "c", "k", now, 100_000, count, count, 0, 0, now, now)
    opened = [_event(build, number, now) for number in range(count)]
    take_in(database, build, opened, signal, BOUND, is_baseline=False)
    return build


def _event(build: Build, number: int, now: datetime) -> SignalEvent:
    entity = f"N{build.build_no}-{number}"
    event_id = hashlib.md5(f"{build.build_id}|{entity}".encode(), usedforsecurity=False).hexdigest()
    row = json.dumps({"entity_id": entity, "region": f"r{number % REGIONS}", "reason": "It is so."})
    severity = list(Severity)[number % len(Severity)]
    return SignalEvent(event_id, build.build_id, build.signal, entity, 1, Kind.OPENED, severity, 0.9, now, now, row)


def _version(connection: Connection, signal: CatalogSignal, now: datetime) -> None:
    from dagster_project.ledger.schema import playbook_versions

    content = json.dumps(signal.version.model_dump(mode="json", by_alias=True), sort_keys=True)
    row = {"version": signal.version.content_hash(), "signal": signal.name, "playbook": PLAYBOOK.name}
    connection.execute(insert(playbook_versions), {**row, "content_json": content, "first_seen_at": now})


def _build(signal: str, day: int, days: int, now: datetime) -> dict[str, object]:
    at = now - timedelta(days=days - day)
    moments = dict.fromkeys(("data_as_of", "captured_at", "released_at", "ingested_at"), at)
    counts = {"population": 100_000, "flagged": 0, "opened": 0, "escalated": 0, "resolved": 0}
    named = {"build_id": f"{signal}-{day + 1}", "signal": signal, "build_no": day + 1, "handling": "planned"}
    return {**named, **moments, **counts, "code_version": "c", "criteria_version": "k", "detail": ""}


@contextmanager
def _without_indexes(connection: Connection) -> Iterator[None]:
    """Indexes are made once everything is there: row by row they would cost most of the time."""
    dropped: list[Index] = [index for table in GROWING for index in sorted(table.indexes, key=lambda one: one.name)]
    for index in dropped:
        index.drop(connection, checkfirst=True)
    yield
    for index in dropped:
        index.create(connection)


def _dialect(connection: Connection) -> Mapping[str, str]:
    """What the two databases word differently."""
    if connection.dialect.name == "postgresql":
        return {
            "numbers": "select i from generate_series(0, {last}) as g(i)",
            "hex": "md5(random()::text || i)",
            "later": "{moment} + ({seconds}) * interval '1 second'",
        }
    return {
        "numbers": "with recursive n(i) as (select 0 union all select i + 1 from n where i < {last}) select i from n",
        "hex": "lower(hex(randomblob(16)))",
        "later": "strftime('%Y-%m-%d %H:%M:%f000', {moment}, '+' || ({seconds}) || ' seconds')",
    }


def _history(connection: Connection, count: int, days: int) -> None:
    if not count:
        return
    words = _dialect(connection)
    versions = {
        row.signal: row.version for row in connection.execute(text("select signal, version from playbook_versions"))
    }
    names = " union all ".join(
        f"select {k} as k, '{name}' as signal, '{versions[name]}' as version" for k, name in enumerate(SIGNALS)
    )
    numbers = words["numbers"].format(last=count - 1)

    def later(moment: str, seconds: str) -> str:
        return words["later"].format(moment=moment, seconds=seconds)

    given = {
        "numbers": numbers,
        "names": names,
        "hex": words["hex"],
        "days": days,
        "recent": RECENT_DAYS,
        "entities": ENTITIES,
        "regions": REGIONS,
        "settled": later("captured_at", "30 + i % 900"),
        "delayed": later("captured_at", f"86400 * {days + 2}"),
        "signals": len(SIGNALS),
    }
    for statement in (*DRAFTS, EVENTS, COUNTS, ACTIONS, GROUPS, REQUESTS, ATTEMPTS, PLANNED, SETTLED):
        connection.execute(text(statement.format(**given)))
    for table in ("fates", "steps", "draft_groups", "drafts"):
        connection.execute(text(f"drop table {table}"))
    _one_batch_a_chain(connection)


def _one_batch_a_chain(connection: Connection) -> None:
    """Stands for the history's batches, so that later ones have a head to follow."""
    ends = text("select signal, min(seq) as first, max(seq) as last, max(at) as at from audit group by signal")
    for name in connection.execute(select(builds.c.signal).distinct()).scalars().all():
        row = next(one for one in connection.execute(ends) if one.signal == name)
        number = (
            connection.execute(
                text("select coalesce(max(number), 0) from audit_batches where chain = :chain"), {"chain": name}
            ).scalar_one()
            + 1
        )
        batch = {"chain": name, "number": number, "first_seq": row.first, "last_seq": row.last, "entries": ""}
        newest = connection.execute(select(builds.c.captured_at).order_by(builds.c.captured_at.desc()).limit(1))
        head = hashlib.sha256(f"bulk {name}".encode()).hexdigest()
        connection.execute(insert(audit_batches), {**batch, "head": head, "sealed_at": newest.scalar_one()})


# What becomes of an event's first two steps, by its fate.
FATES = (
    ("delivered", 0, "delivered", "", False),
    ("delivered", 1, "delivered", "", False),
    ("suppressed", 0, "suppressed", "cool_down", False),
    ("suppressed", 1, "suppressed", "cool_down", False),
    ("dead", 0, "dead", "invalid_request", False),
    ("dead", 1, "waiting", "need_dead", False),
    ("unknown", 0, "held", "unknown_outcome", False),
    ("unknown", 1, "waiting", "", False),
    ("approval", 0, "held", "needs_approval", False),
    ("approval", 1, "waiting", "", False),
    ("delayed", 0, "waiting", "server_error", True),
    ("delayed", 1, "waiting", "", False),
    # the third step goes with the region's order, whatever becomes of the first two
    *((fate, 2, "delivered", "", False) for fate in ("delivered", "dead", "unknown", "approval", "delayed")),
    ("suppressed", 2, "suppressed", "cool_down", False),
)
_FATES = " union all ".join(
    f"select '{fate}' as fate, {place} as place, '{state}' as state, '{reason}' as reason, "
    f"{str(ready).lower()} as is_ready"
    for fate, place, state, reason, ready in FATES
)
_STEPS = " union all ".join(
    f"select {place} as place, '{step.name}' as step, '{step.role}' as role, '{step.operation}' as operation, "
    f"'{BOUND[step.name].destination}' as destination, '{BOUND[step.name].idempotency.value}' as idempotency"
    for place, step in enumerate(PLAYBOOK.steps)
)
# i % signals is the signal and i / signals / events a day and signal the build, so a build's events lie together
DRAFTS = (
    """create temporary table drafts as
    select i, {hex} as event_id, names.signal, names.version, builds.build_id, builds.build_no, builds.captured_at,
           'C' || ((i / {signals}) % {entities}) as entity_id, 1 + i / {signals} / {entities} as episode,
           (i / {signals}) % {regions} as region,
           case when i % 1000 < 100 then 'suppressed' when i / 1000 < {days} - {recent} then 'delivered'
                when i % 1000 < 103 then 'dead' when i % 1000 < 104 then 'unknown'
                when i % 1000 < 105 then 'approval' when i % 1000 < 110 then 'delayed' else 'delivered' end as fate
    from ({numbers}) as n
    join ({names}) as names on names.k = i % {signals}
    join builds on builds.build_id = names.signal || '-' ||
        (1 + case when i / 1000 < {days} then i / 1000 else {days} - 1 end)""",
    "create index drafts_build on drafts (build_id)",
    f"create temporary table fates as {_FATES}",
    f"create temporary table steps as {_STEPS}",
    """create temporary table draft_groups as
    select {hex} as action_id, g.* from (
        select build_id, region, min(signal) as signal, min(version) as version, min(build_no) as build_no,
               min(captured_at) as captured_at, min(i) as i
        from drafts where fate <> 'suppressed' group by build_id, region) as g""",
)
EVENTS = """
    insert into events (event_id, build_id, signal, entity_id, episode, kind, severity, score, observed_at, emitted_at,
                        row_json, reason)
    select event_id, build_id, signal, entity_id, episode, 'opened', 'high', 0.9, captured_at, captured_at,
           '{{"entity_id": "' || entity_id || '", "region": "r' || region || '", "reason": "It is so."}}', ''
    from drafts"""
COUNTS = """
    update builds set flagged = (select count(*) from drafts where drafts.build_id = builds.build_id),
                      opened = (select count(*) from drafts where drafts.build_id = builds.build_id)"""
_COLUMNS = """action_id, is_group, group_id, event_id, build_id, build_no, signal, entity_id, episode, kind, step,
        step_index, role, destination, operation, idempotency, playbook_version, severity_rank, is_required,
        contact_entity, contact_id, state, reason, detail, is_ready, is_sealed, is_approved, planned_at, due_at,
        attempts, settled_at, external_id, url, result_json"""
ACTIONS = f"""
    insert into actions ({_COLUMNS})
    select {{hex}}, false, case when steps.place = 2 then g.action_id end, event_id, d.build_id, d.build_no, d.signal,
           entity_id, episode, 'opened', step, steps.place, role, destination, operation, idempotency, d.version,
           1 + i % 4, true, 'customer', entity_id, f.state, f.reason, '', f.is_ready,
           f.state in ('delivered', 'dead', 'held') and steps.place < 2, false, d.captured_at,
           case when f.is_ready then {{delayed}} else d.captured_at end,
           case f.state when 'delivered' then 1 when 'dead' then 3 else 0 end,
           case when f.state in ('delivered', 'suppressed', 'dead') then {{settled}} end,
           case f.state when 'delivered' then 'x' || d.i || '-' || steps.place end, null, null
    from drafts as d
    join fates as f on f.fate = d.fate join steps on steps.place = f.place
    left join (select action_id, build_id, region from draft_groups) as g
        on g.build_id = d.build_id and g.region = d.region and d.fate <> 'suppressed' and steps.place = 2"""
GROUPS = f"""
    insert into actions ({_COLUMNS})
    select action_id, true, null, null, build_id, build_no, signal, null, null, 'opened', step, 2, role, destination,
           operation, idempotency, version, 3, false, null, null, 'delivered', '', '', false, true, false, captured_at,
           captured_at, 1, {{settled}}, 'g' || i, null, null
    from draft_groups cross join steps where steps.place = 2"""
REQUESTS = """
    insert into requests (action_id, arguments_json, rendered_at)
    select action_id, '{{"subject": "Call them"}}', planned_at from actions
    where state in ('held', 'dead', 'delivered') and group_id is null"""
ATTEMPTS = """
    insert into attempts (action_id, number, destination, run_id, lease_token, begun_at, ended_at, verdict, reason,
                          detail, is_counted)
    select action_id, 1, destination, 'run-' || build_no, 'lease-' || build_no, planned_at, planned_at,
           case state when 'dead' then 'rejected' when 'held' then 'unknown' else 'delivered' end, '', '', true
    from actions where state in ('held', 'dead', 'delivered') and group_id is null"""
PLANNED = """
    insert into audit (at, actor, verb, signal, build_id, action_id, from_state, to_state, reason, detail)
    select planned_at, 'loop', 'planned', signal, build_id, action_id, null,
           case state when 'suppressed' then 'suppressed' else 'waiting' end, '', '' from actions"""
SETTLED = """
    insert into audit (at, actor, verb, signal, build_id, action_id, from_state, to_state, reason, detail)
    select coalesce(settled_at, planned_at), 'loop', case state when 'dead' then 'died' else state end, signal,
           build_id, action_id, 'waiting', state, reason, '' from actions
    where state in ('held', 'dead', 'delivered')"""
