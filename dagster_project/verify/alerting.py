"""Names what is wrong with the loop as conditions that people are alerted to, and words the messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from dagster_project.contracts.catalog import Catalog, CatalogSignal
from dagster_project.ledger.contacts import DO_NOT_CONTACT_MODEL, doubt_in_words
from dagster_project.ledger.database import Database
from dagster_project.ledger.held_builds import read_held_builds
from dagster_project.ledger.incidents import RESOLVED, Condition, Incident
from dagster_project.ledger.planning import RESTORED_LEDGER
from dagster_project.ledger.refused_builds import signals_refused
from dagster_project.ledger.restoring import gap_began_at
from dagster_project.ledger.schema import IN_QUEUE, actions, destinations, pauses, row_counts
from dagster_project.verify.audit_trail import TrailReport
from dagster_project.verify.sla import judge, read_timings

SLA_BREACH = "sla_breach"
DEAD_LETTERS = "dead_letters"
HELD_TOO_LONG = "held_too_long"
BUILDS_HELD = "builds_held"
CIRCUIT_OPEN = "circuit_open"
DESTINATION_PAUSED = "destination_paused"
FAILED_CHECK = "failed_check"
BROKEN_CHAIN = "broken_chain"
LEDGER_RESTORED = "restored_ledger"
CONTACTS_IN_DOUBT = "contacts_in_doubt"
BUILD_REFUSED = "build_refused"

# kind -> what it is called, and where the runbook says what to do
KINDS: Mapping[str, tuple[str, str]] = {
    SLA_BREACH: ("Work is late", "checks"),
    DEAD_LETTERS: ("Dead letters", "reasons-on-dead-work"),
    HELD_TOO_LONG: ("Held too long", "reasons-on-held-work"),
    BUILDS_HELD: ("A signal stands still", "held-builds"),
    CIRCUIT_OPEN: ("A destination fails", "destinations"),
    DESTINATION_PAUSED: ("A destination refuses our credentials", "destinations"),
    FAILED_CHECK: ("A check fails", "checks"),
    BROKEN_CHAIN: ("The audit trail was touched", "the-audit-trail"),
    LEDGER_RESTORED: ("The ledger was restored from a backup", "a-restored-ledger"),
    CONTACTS_IN_DOUBT: ("The do-not-contact list is in doubt", "the-do-not-contact-list"),
    BUILD_REFUSED: ("A build is refused", "other-messages"),
}
FROM_LEDGER = frozenset(
    {
        SLA_BREACH,
        DEAD_LETTERS,
        HELD_TOO_LONG,
        BUILDS_HELD,
        CIRCUIT_OPEN,
        DESTINATION_PAUSED,
        LEDGER_RESTORED,
        CONTACTS_IN_DOUBT,
        BUILD_REFUSED,
    }
)
CHECKED_BY_DAGSTER = frozenset({FAILED_CHECK})
FROM_TRAIL = frozenset({BROKEN_CHAIN})
CHAT, MAIL = "chat", "mail"


@dataclass(frozen=True)
class AlertChannels:
    """Where alerts go. Either may be empty; with both, the failure of one keeps nobody from knowing.

    Parameters: a channel of the chat; an e-mail address; the address or path of the runbook.
    """

    chat_channel: str
    mail_address: str
    runbook: str

    @property
    def roles(self) -> tuple[str, ...]:
        given = ((CHAT, self.chat_channel), (MAIL, self.mail_address))
        return tuple(role for role, place in given if place)


def ledger_conditions(database: Database, catalog: Catalog) -> list[Condition]:
    """What the ledger itself says is wrong now."""
    now = database.now()
    with database.reading() as connection:
        found = [*_destination_conditions(connection), *_restored_conditions(connection)]
        found += _contact_conditions(connection, catalog)
        found += _refusal_conditions(connection, catalog)
        for signal in catalog.signals.values():
            verdict = judge(read_timings(connection, signal.name, now), signal.spec)
            if not verdict.is_kept:
                told = f"{len(verdict.late)} late or failed, {verdict.share_in_time:.0%} in time"
                found.append(Condition(SLA_BREACH, signal.name, told, signal.name))
            if held := read_held_builds(connection, signal.name):
                found.append(Condition(BUILDS_HELD, signal.name, str(held), signal.name))
            found += _work_conditions(connection, signal, now - signal.spec.held_within.as_timedelta())
    return found


def _work_conditions(connection: Connection, signal: CatalogSignal, held_before: Any) -> Iterator[Condition]:
    single = (actions.c.signal == signal.name, IN_QUEUE)
    dead = connection.execute(select(func.count()).select_from(actions).where(*single, actions.c.state == "dead"))
    if count := dead.scalar_one():
        yield Condition(DEAD_LETTERS, signal.name, f"{count} dead: nothing more is tried", signal.name)
    late = (*single, actions.c.state == "held", actions.c.planned_at < held_before)
    if count := connection.execute(select(func.count()).select_from(actions).where(*late)).scalar_one():
        limit = _told(signal.spec.held_within.as_timedelta())
        told = f"{count} wait for a person for longer than {limit}"
        yield Condition(HELD_TOO_LONG, signal.name, told, signal.name)


def _restored_conditions(connection: Connection) -> Iterator[Condition]:
    held = (row_counts.c.state == "held", row_counts.c.reason == RESTORED_LEDGER, row_counts.c.row_count > 0)
    concerned = actions.c.signal.in_(select(row_counts.c.signal).where(*held))
    unaccounted = (IN_QUEUE, actions.c.state == "held", actions.c.reason == RESTORED_LEDGER, concerned)
    if count := connection.execute(select(func.count()).select_from(actions).where(*unaccounted)).scalar_one():
        since = gap_began_at(connection)
        backup = f" of {since:%Y-%m-%d %H:%M} UTC" if since else ""
        told = f"{count} actions and groups may have been done after the backup{backup}; they are held"
        yield Condition(LEDGER_RESTORED, "ledger", told)


def _contact_conditions(connection: Connection, catalog: Catalog) -> Iterator[Condition]:
    if doubt := doubt_in_words(connection, DO_NOT_CONTACT_MODEL in catalog.models):
        yield Condition(CONTACTS_IN_DOUBT, DO_NOT_CONTACT_MODEL, doubt)


def _refusal_conditions(connection: Connection, catalog: Catalog) -> Iterator[Condition]:
    """Without the refusal's own words, which may quote a row."""
    for name in sorted(signals_refused(connection) & catalog.signals.keys()):
        told = "a build is not taken in and nothing of it is planned; `loopctl tick --no-build` and the sensor say why"
        yield Condition(BUILD_REFUSED, name, told, name)


def _told(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"


def _destination_conditions(connection: Connection) -> Iterator[Condition]:
    failing = select(destinations).where(destinations.c.open_until.is_not(None))
    for row in connection.execute(failing):
        told = f"{row.failures} failures in a row ({row.reason}); its work waits"
        yield Condition(CIRCUIT_OPEN, row.destination, told)
    refused = select(pauses).where(pauses.c.subject.like("destination:%"), pauses.c.by == "loop")
    for row in connection.execute(refused):
        name = row.subject.removeprefix("destination:")
        yield Condition(DESTINATION_PAUSED, name, "it is paused and its work waits; mend the credentials, then resume")


def check_conditions(failed: Iterable[tuple[str, str]]) -> list[Condition]:
    """Conditions for checks that failed when they ran last, given as asset and check."""
    return [Condition(FAILED_CHECK, f"{asset}: {check}", "it failed when it ran last") for asset, check in failed]


def trail_conditions(report: TrailReport) -> list[Condition]:
    """A trail that was touched is one incident, however many rows."""
    if report.holds:
        return []
    first = report.findings[0]
    told = f"{len(report.findings)} finding(s), the first in {first}. Run `loopctl audit verify`"
    return [Condition(BROKEN_CHAIN, "audit trail", told)]


def composed(incident: Incident, phase: str, channels: AlertChannels) -> dict[str, dict[str, Any]]:
    """The message for each role that alerts go to, as arguments of its operation."""
    name, anchor = KINDS[incident.kind]
    page = f"{channels.runbook}#{anchor}"
    is_over = phase == RESOLVED
    title = f"{'Over: ' if is_over else ''}{name}: {incident.subject}"
    text = f"{incident.summary}. Since {incident.opened_at:%Y-%m-%d %H:%M} UTC."
    if is_over and incident.resolved_at is not None:
        text = f"It is over since {incident.resolved_at:%Y-%m-%d %H:%M} UTC. It was: {text}"
    messages: dict[str, dict[str, Any]] = {}
    if channels.chat_channel:
        messages[CHAT] = {"channel": channels.chat_channel, "title": title, "text": text} | _links(page)
    if channels.mail_address:
        body = f"{title}\n\n{text}\n\nWhat to do: {page}\n"
        messages[MAIL] = {"to": channels.mail_address, "subject": f"[signal loop] {title}", "text": body}
    return messages


def _links(page: str) -> dict[str, Any]:
    """A link where the runbook has an address, else a fact that names its page."""
    return {"links": {"What to do": page}} if "://" in page else {"fields": {"What to do": page}}


def escaped_for(escape: Any, operation: str, rich: Sequence[str], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with their texts made harmless for the destination's markup; links stay as they are."""

    def harmless(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: escape(operation, one) for name, one in value.items()}
        return escape(operation, value)

    return {name: harmless(value) if name in rich and name != "links" else value for name, value in arguments.items()}
