"""Recognises a ledger that was restored from a backup, and holds all work that may have been done in the meantime.

The ledger's own number rises, and its mark outside is raised to it, after every intake and after every claim, before
the claim's work is looked at: no call is ever made by a ledger whose mark is not outside already. So a ledger whose
number is lower than its mark does not know what was done since.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from dagster_project.contracts.destination import ReasonFor, Verdict
from dagster_project.contracts.vocabulary import ActionState
from dagster_project.ledger.database import Database
from dagster_project.ledger.intake import INCARNATION
from dagster_project.ledger.marks import Mark, MarkPlace
from dagster_project.ledger.planning import RESTORED_LEDGER
from dagster_project.ledger.pruned import dialect_insert
from dagster_project.ledger.retry_policy import UNKNOWN_OUTCOME
from dagster_project.ledger.schema import actions, attempts, audit, builds, facts
from dagster_project.ledger.transitions import Transition, apply_transitions, write_audit

ACTOR = "loop"
MARK = "ledger mark"
NUMBER = "mark_number"
GAP_BEGAN_AT = "restored_gap_began_at"
THROUGH = "restored_through:"  # and the signal: builds up to this number may have been acted upon


@dataclass(frozen=True)
class Restored:
    """What the recognition of a restored ledger found."""

    gap_began_at: datetime  # the last thing that the backup knows
    last_acted_at: datetime  # the last thing that its mark knows
    held: int  # actions and groups


def advance(database: Database, place: MarkPlace) -> None:
    """Raises the ledger's number and then its mark outside; a ledger that is bound to no warehouse has none.

    Raises MarkUnavailable; the work that was to follow must not go out then.
    """

    with database.reading() as connection:
        incarnation, before = _fact(connection, INCARNATION), _fact(connection, NUMBER)
    # A new ledger begins where an earlier one of this warehouse ended: what it meets is baseline, and held by nobody.
    known = place.read(incarnation) if incarnation is not None and before is None else None
    least = known.number if known is not None else 0

    def work(connection: Connection) -> tuple[str, Mark] | None:
        if incarnation is None:
            return None
        number = max(int(_fact(connection, NUMBER) or 0), least) + 1
        _set_fact(connection, NUMBER, str(number))
        return incarnation, Mark(number, database.now(), _taken_in(connection))

    if (made := database.write(work, over=MARK)) is not None:  # no other writer has to wait for it
        place.raise_to(*made)


def recognise(database: Database, place: MarkPlace) -> Restored | None:
    """Compares the ledger with its mark; holds what is unaccounted for where the ledger is the older one.

    None where the ledger is the newest, or is new itself. Raises MarkUnavailable.
    """
    with database.reading() as connection:
        incarnation = _fact(connection, INCARNATION)
    mark = None if incarnation is None else place.read(incarnation)
    if mark is None:
        return None
    with database.reading() as connection:  # after the mark was read: a ledger that goes on is ahead of it
        if int(_fact(connection, NUMBER) or 0) >= mark.number:
            return None

    def work(connection: Connection) -> Restored | None:
        if int(_fact(connection, NUMBER) or 0) >= mark.number:
            return None  # another process has seen it already
        _set_fact(connection, NUMBER, str(mark.number))
        return _hold_unaccounted(connection, mark, database.now())

    return database.write(work)


def unaccounted_through(database: Database, signal: str) -> int:
    """The newest build of a signal that may have been acted upon after the backup; 0 where there is none."""
    with database.reading() as connection:
        return int(_fact(connection, THROUGH + signal) or 0)


def gap_began_at(connection: Connection) -> datetime | None:
    """Since when the ledger does not know what was done; None where it was never restored."""
    found = _fact(connection, GAP_BEGAN_AT)
    return None if found is None else datetime.fromisoformat(found)


def _hold_unaccounted(connection: Connection, mark: Mark, now: datetime) -> Restored:
    began_at = _last_known_at(connection) or now
    if not _is_any_held(connection):  # else an earlier restore's gap goes on
        _set_fact(connection, GAP_BEGAN_AT, began_at.isoformat())
    known = _taken_in(connection)
    for signal, build_no in mark.taken_in.items():
        if build_no > known.get(signal, 0):
            _set_fact(connection, THROUGH + signal, str(build_no))
    held = _hold_open_work(connection, began_at, now)
    told = f"its mark of {mark.at:%Y-%m-%d %H:%M:%S} UTC is newer than the ledger; {held} actions and groups are held"
    entry = {"at": now, "actor": ACTOR, "verb": "restored", "reason": RESTORED_LEDGER, "detail": told}
    write_audit(connection, [entry])
    return Restored(began_at, mark.at, held)


def _hold_open_work(connection: Connection, began_at: datetime, now: datetime) -> int:
    """Whatever was waiting or held may have been sent, approved or ended since; a dead one needs a person anyway."""
    is_open = (actions.c.state.in_(("waiting", "held")), actions.c.reason.notin_((UNKNOWN_OUTCOME, RESTORED_LEDGER)))
    rows = connection.execute(select(actions).where(*is_open)).all()
    transitions = [
        Transition.of(
            row,
            ActionState.HELD,
            "held",
            reason=RESTORED_LEDGER,
            detail=f"was {row.state}{f' ({row.reason})' if row.reason else ''} in the backup of "
            f"{began_at:%Y-%m-%d %H:%M}; it may have been done since",
            columns={"is_ready": row.group_id is None, "is_approved": False, "due_at": now},
        )
        for row in rows
    ]
    apply_transitions(connection, transitions, ACTOR, now)
    lost = {"verdict": Verdict.UNKNOWN.value, "reason": ReasonFor.REPLY_LOST.value, "ended_at": now}
    connection.execute(update(attempts).where(attempts.c.verdict.is_(None)).values(**lost))
    return sum(1 for row in rows if row.group_id is None)


def _is_any_held(connection: Connection) -> bool:
    held = select(actions.c.action_id).where(actions.c.state == "held", actions.c.reason == RESTORED_LEDGER).limit(1)
    return connection.execute(held).first() is not None


def _last_known_at(connection: Connection) -> datetime | None:
    found: datetime | None = connection.execute(select(audit.c.at).order_by(audit.c.seq.desc()).limit(1)).scalar()
    return found


def _taken_in(connection: Connection) -> dict[str, int]:
    newest = select(builds.c.signal, func.max(builds.c.build_no).label("n")).group_by(builds.c.signal)
    return {row.signal: int(row.n) for row in connection.execute(newest)}


def _fact(connection: Connection, name: str) -> str | None:
    found: str | None = connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar()
    return found


def _set_fact(connection: Connection, name: str, value: str) -> None:
    statement = dialect_insert(connection, facts).values(name=name, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
