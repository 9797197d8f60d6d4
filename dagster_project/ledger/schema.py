"""The ledger's tables: the operational record of what was seen, planned, tried, and came of it.

Who writes what: `builds`, `events` and `playbook_versions` are written once; `actions` change state only through
`transitions`, which writes the `audit` row in the same transaction; `attempts` are opened by an intent and closed once.
`pruning` alone takes rows of these away.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

metadata = MetaData()


class Moment(TypeDecorator[datetime]):
    """A moment in UTC: aware in Python, naive in the database, so that both databases store and compare the same."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; the ledger takes moments in UTC")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


# SQLite counts rows itself only for INTEGER keys; PostgreSQL needs 64 bits.
Sequence64 = BigInteger().with_variant(Integer, "sqlite")

facts = Table(  # one row a fact about the ledger itself: the warehouse incarnation it is bound to, when it was made
    "facts",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("value", Text, nullable=False),
)

builds = Table(
    "builds",
    metadata,
    Column("build_id", String(64), primary_key=True),
    Column("signal", String(128), nullable=False),
    Column("build_no", BigInteger, nullable=False),
    Column("code_version", String(128)),
    Column("criteria_version", String(128)),
    Column("data_as_of", Moment, nullable=False),
    Column("population", BigInteger),
    Column("flagged", BigInteger, nullable=False),
    Column("opened", BigInteger, nullable=False),
    Column("escalated", BigInteger, nullable=False),
    Column("resolved", BigInteger, nullable=False),
    Column("captured_at", Moment, nullable=False),
    Column("released_at", Moment, nullable=False),
    Column("ingested_at", Moment, nullable=False),
    Column("handling", String(16), nullable=False),  # planned | baseline
    Column("detail", Text, nullable=False, default=""),  # which guard held what
    Column("pruned_events", BigInteger, nullable=False, server_default="0"),  # those that are totals now
    UniqueConstraint("signal", "build_no", name="builds_signal_build_no"),
)

events = Table(
    "events",
    metadata,
    Column("event_id", String(64), primary_key=True),
    Column("build_id", String(64), nullable=False),
    Column("signal", String(128), nullable=False),
    Column("entity_id", Text, nullable=False),
    Column("episode", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("score", Float),
    Column("observed_at", Moment, nullable=False),
    Column("emitted_at", Moment, nullable=False),
    Column("row_json", Text, nullable=False),
    Column(
        "reason", String(64), nullable=False, default=""
    ),  # why it was planned without any action; empty when planned
    Index("events_build", "build_id"),
    Index("events_lane", "signal", "entity_id", "episode"),
    Index("events_entity", "entity_id"),
)

playbook_versions = Table(
    "playbook_versions",
    metadata,
    Column("version", String(32), primary_key=True),
    Column("signal", String(128), nullable=False),
    Column("playbook", String(128), nullable=False),
    Column("content_json", Text, nullable=False),
    Column("first_seen_at", Moment, nullable=False),
)

# The conditions of the indexes actions_due and actions_queue. A query that means one of these indexes says its
# condition in these very words: SQLite uses a partial index only then.
IS_DUE_KIND = text("state = 'waiting' and group_id is null")
IN_QUEUE = text("group_id is null and state <> 'delivered'")

# A group is a row here too (is_group): it has the state, lease, attempts and outcome, and its members, which point to
# it by group_id, inherit them. One state machine serves both.
actions = Table(
    "actions",
    metadata,
    Column("action_id", String(64), primary_key=True),
    Column("is_group", Boolean, nullable=False, default=False),
    Column("group_id", String(64)),
    Column("event_id", String(64)),  # null for a group
    Column("build_id", String(64), nullable=False),
    Column("build_no", BigInteger, nullable=False),
    Column("signal", String(128), nullable=False),
    Column("entity_id", Text),  # null for a group
    Column("episode", BigInteger),
    Column("kind", String(16), nullable=False),
    Column("step", String(128), nullable=False),
    Column("step_index", Integer, nullable=False),
    Column("role", String(64), nullable=False),
    Column("destination", String(64), nullable=False),
    Column("operation", String(64), nullable=False),
    Column("idempotency", String(32), nullable=False),
    Column("playbook_version", String(32), nullable=False),
    Column("severity_rank", Integer, nullable=False),
    Column("is_required", Boolean, nullable=False),
    Column("contact_entity", String(64)),  # whom it reaches, as do_not_contact knows them; null where nobody
    Column("contact_id", Text),
    Column("state", String(16), nullable=False),
    Column("reason", String(64), nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
    Column("is_ready", Boolean, nullable=False),  # nothing of its own event or lane stands before it
    Column(
        "is_sealed", Boolean, nullable=False, default=False
    ),  # its request is rendered; a group's members are frozen
    Column("is_approved", Boolean, nullable=False, default=False),  # a person released it; no guard holds it again
    Column("planned_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),  # those that counted
    Column("lease_token", String(64)),
    Column("lease_until", Moment),
    Column("settled_at", Moment),
    Column("external_id", Text),
    Column("url", Text),
    Column("result_json", Text),
    Index("actions_event", "event_id"),
    Index(  # members only: most actions have no group, and a planner with old statistics would look for null in it
        "actions_group",
        "group_id",
        sqlite_where=text("group_id is not null"),
        postgresql_where=text("group_id is not null"),
    ),
    # what became of a build's required steps, without a look at the rows
    Index("actions_build", "build_id", "is_required", "event_id", "state", "settled_at"),
    Index("actions_lane", "signal", "entity_id", "state"),
    Index(  # each destination has its own order, so that one that takes nothing costs the others nothing
        "actions_due",
        "signal",
        "is_ready",
        "destination",
        text("severity_rank desc"),
        "due_at",
        sqlite_where=IS_DUE_KIND,
        postgresql_where=IS_DUE_KIND,
    ),
    Index(  # what people look through: everything unfinished, one row an effect
        "actions_queue",
        "state",
        "signal",
        "reason",
        "destination",
        "planned_at",
        "action_id",
        sqlite_where=IN_QUEUE,
        postgresql_where=IN_QUEUE,
    ),
    Index(
        "actions_external",
        "external_id",
        sqlite_where=text("external_id is not null"),
        postgresql_where=text("external_id is not null"),
    ),
    Index(  # what a sample may be drawn from
        "actions_delivered",
        "settled_at",
        sqlite_where=text("state = 'delivered' and group_id is null"),
        postgresql_where=text("state = 'delivered' and group_id is null"),
    ),
    Index(
        "actions_leased",
        "lease_token",
        sqlite_where=text("lease_token is not null"),
        postgresql_where=text("lease_token is not null"),
    ),
)

row_counts = (
    Table(  # how many rows there are of each kind in each state; kept by `row_counts`, proven by `conservation`
        "row_counts",
        metadata,
        Column("signal", String(128), primary_key=True),
        Column("subject", String(16), primary_key=True),  # action | group | event | build
        Column("name", String(128), primary_key=True),  # step | step | kind | handling
        Column("state", String(16), primary_key=True),
        Column("reason", String(64), primary_key=True),
        Column("row_count", BigInteger, nullable=False),
    )
)

requests = Table(  # rendered once, before the first intent; retries and approvals send exactly this
    "requests",
    metadata,
    Column("action_id", String(64), primary_key=True),
    Column("arguments_json", Text, nullable=False),
    Column("rendered_at", Moment, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("attempt_id", Sequence64, primary_key=True, autoincrement=True),
    Column("action_id", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("destination", String(64), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("lease_token", String(64), nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("verdict", String(16)),  # null while the call is under way: the open intent
    Column("reason", String(64), nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
    Column("status", Integer),
    Column("is_counted", Boolean, nullable=False, default=True),
    Index("attempts_action", "action_id", "number"),
    Index("attempts_run", "run_id"),
    Index(
        "attempts_open", "lease_token", sqlite_where=text("verdict is null"), postgresql_where=text("verdict is null")
    ),
)

destinations = Table(  # what delivery has learnt about a destination as a whole
    "destinations",
    metadata,
    Column("destination", String(64), primary_key=True),
    Column("failures", Integer, nullable=False, default=0),  # in a row
    Column("open_until", Moment),  # the circuit is open until then
    Column("not_before", Moment),  # Retry-After, for the whole destination
    Column("reason", String(64), nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
    Column("changed_at", Moment, nullable=False),
)

paces = Table(  # when the next place at a destination is free, for all runs together
    "paces",
    metadata,
    Column("destination", String(64), primary_key=True),
    Column("next_at", Moment, nullable=False),
)

pauses = Table(
    "pauses",
    metadata,
    Column("subject", String(160), primary_key=True),  # all | signal:<name> | destination:<name>
    Column("by", String(128), nullable=False),
    Column("why", Text, nullable=False),
    Column("paused_at", Moment, nullable=False),
)

modes = Table(  # of each signal: what its YAML declares, and what a person has decided since
    "modes",
    metadata,
    Column("signal", String(128), primary_key=True),
    Column("declared", String(16), nullable=False),
    Column("decided", String(16)),  # null: what is declared holds
    Column("by", String(128)),
    Column("why", Text),
    Column("decided_at", Moment),
)

do_not_contact = Table(
    "do_not_contact",
    metadata,
    Column("entity", String(64), primary_key=True),
    Column("entity_id", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("listed_at", Moment, nullable=False),
)

audit = Table(  # append-only
    "audit",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("verb", String(32), nullable=False),
    Column("signal", String(128)),
    Column("build_id", String(64)),
    Column("action_id", String(64)),
    Column("from_state", String(16)),
    Column("to_state", String(16)),
    Column("reason", String(64), nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
    Column("salt", String(32)),  # of the text's digest, so that nobody can guess an erased text; gone with the text
    Column("erased_digest", String(64)),  # what stands for a text that was erased
    Index("audit_action", "action_id", "seq"),
    Index(  # what people did, among all that the loop and its runs did
        "audit_people",
        "seq",
        sqlite_where=text("actor <> 'loop' and substr(actor, 1, 4) <> 'run:'"),
        postgresql_where=text("actor <> 'loop' and substr(actor, 1, 4) <> 'run:'"),
    ),
)

people = Table(  # who may do what; as soon as there is one, everybody has to sign in
    "people",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("roles", String(64), nullable=False),  # separated by commas
    Column("owners_json", Text, nullable=False),  # confined to the signals of these owners; [] for all
    Column("by", String(128), nullable=False),
    Column("changed_at", Moment, nullable=False),
)

access_tokens = Table(  # of a token only a hash is kept
    "access_tokens",
    metadata,
    Column("token_id", String(16), primary_key=True),
    Column("person", String(128), nullable=False),
    Column("label", String(128), nullable=False),
    Column("salt", String(32), nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("by", String(128), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("revoked_at", Moment),
    Column("used_at", Moment),
)

sessions = Table(  # of the console; the cookie's value is known to the browser alone
    "sessions",
    metadata,
    Column("session_hash", String(64), primary_key=True),
    Column("person", String(128), nullable=False),
    Column("way_in", String(16), nullable=False),  # token | proxy | loopback
    Column("token_id", String(16)),
    Column("began_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
)

audit_batches = Table(  # append-only: what one transaction wrote to one chain of the audit trail, and where it led
    "audit_batches",
    metadata,
    Column("chain", String(128), primary_key=True),  # the signal, or * for rows without one
    Column("number", BigInteger, primary_key=True),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("entries", Text, nullable=False),  # seq and cut digest of each row: which rows belong to it
    Column("head", String(64), nullable=False),
    Column("sealed_at", Moment, nullable=False),
    Index("audit_batches_last", "last_seq"),
)

samples = Table(  # drawings of delivered actions whose records were read back
    "samples",
    metadata,
    Column("sample_id", String(64), primary_key=True),
    Column("cadence", String(16), nullable=False),  # daily | weekly | by_hand
    Column("seed", BigInteger, nullable=False),  # with it and the strata the drawing can be repeated
    Column("since", Moment, nullable=False),  # settled at this moment or later
    Column("until", Moment, nullable=False),  # settled before this moment
    Column("strata_json", Text, nullable=False),  # "signal/step/destination" -> [delivered, drawn]
    Column("drawn_at", Moment, nullable=False),
)

sampled_records = Table(
    "sampled_records",
    metadata,
    Column("sample_id", String(64), primary_key=True),
    Column("action_id", String(64), primary_key=True),
    Column("signal", String(128), nullable=False),
    Column("step", String(128), nullable=False),
    Column("destination", String(64), nullable=False),
    Column("external_id", Text),
    Column("verdict", String(16), nullable=False),  # match | mismatch | gone | changed | unreadable
    Column("findings_json", Text, nullable=False),  # sentences, without values
    Column("read_json", Text),  # what was written and what was read back; null where nothing could be read
    Column("is_in_time", Boolean),  # null where no promise applies
    Column("checked_at", Moment, nullable=False),
    Column("person", String(128)),  # who looked at it too
    Column("person_verdict", String(16)),
    Column("person_why", Text),
    Column("person_at", Moment),
    Index("sampled_records_signal", "signal", "checked_at"),
    Index("sampled_records_checked", "checked_at"),
)

incidents = Table(  # what is wrong, from when to when; one row however often it is seen
    "incidents",
    metadata,
    Column("incident_id", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("subject", String(160), nullable=False),
    Column("summary", Text, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("resolved_at", Moment),
    Index(
        "incidents_open",
        "kind",
        "subject",
        unique=True,
        sqlite_where=text("resolved_at is null"),
        postgresql_where=text("resolved_at is null"),
    ),
)

alert_messages = Table(  # an outbox: the intent is written before the call, the outcome after it
    "alert_messages",
    metadata,
    Column("message_id", String(64), primary_key=True),  # the idempotency key
    Column("incident_id", String(64), nullable=False),
    Column("phase", String(16), nullable=False),  # opened | resolved
    Column("role", String(64), nullable=False),
    Column("arguments_json", Text, nullable=False),
    Column("state", String(16), nullable=False),  # waiting | sending | delivered | unknown | dead
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Moment, nullable=False),
    Column("begun_at", Moment),  # of the newest attempt
    Column("external_id", Text),
    Column("reason", String(64), nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
    Column("made_at", Moment, nullable=False),
    Column("settled_at", Moment),
    Index(
        "alert_messages_open",
        "due_at",
        sqlite_where=text("state in ('waiting', 'sending')"),
        postgresql_where=text("state in ('waiting', 'sending')"),
    ),
)

criteria = Table(  # versions of thresholds: values of dbt vars that differ from the repository's
    "criteria",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("value_json", Text, nullable=False),
    Column("state", String(16), nullable=False),  # proposed | in_force | superseded | refused | rolled_back
    Column("why", Text, nullable=False),
    Column("preview_json", Text, nullable=False),  # signal -> what it would have changed when it was proposed
    Column("proposed_by", String(128), nullable=False),
    Column("proposed_at", Moment, nullable=False),
    Column("decided_by", String(128)),
    Column("decided_why", Text),
    Column("decided_at", Moment),
)

pruned_totals = Table(  # what pruning took away, counted: rows that are gone still add up
    "pruned_totals",
    metadata,
    Column("signal", String(128), primary_key=True),
    Column("unit", String(16), primary_key=True),  # event | action | group | attempt | sampled_record
    Column("kind", String(16), primary_key=True),
    Column("step", String(128), primary_key=True),
    Column("state", String(16), primary_key=True),  # of an attempt its verdict, of a sampled record too
    Column("reason", String(64), primary_key=True),
    Column("n", BigInteger, nullable=False),
)

pruned_deeds = Table(  # of pruned actions, what later decisions ask: never pruned, one row an entity, step and kind
    "pruned_deeds",
    metadata,
    Column("signal", String(128), primary_key=True),
    Column("entity_id", Text, primary_key=True),
    Column("step", String(128), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("delivered", BigInteger, nullable=False),
    Column("last_build_no", BigInteger, nullable=False),
    Column("last_external_id", Text),
    Column("last_settled_at", Moment, nullable=False),
)
