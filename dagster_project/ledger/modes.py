"""Which mode a signal is in: what its YAML declares, unless a person has decided otherwise since (invariant 7)."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from dagster_project.contracts.vocabulary import Mode
from dagster_project.ledger.controls import Person
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import modes
from dagster_project.ledger.transitions import write_audit

ACTOR = "loop"


def mode_of(connection: Connection, signal: str, declared: Mode) -> Mode:
    """The mode in force for a signal whose YAML declares one."""
    decided = connection.execute(select(modes.c.decided).where(modes.c.signal == signal)).scalar()
    return Mode(decided) if decided is not None else declared


def declare_mode(database: Database, signal: str, declared: Mode) -> None:
    """Notes what the YAML declares now; a change of it is audited and does not undo what a person has decided."""
    known = select(modes.c.declared).where(modes.c.signal == signal)
    with database.reading() as connection:
        if connection.execute(known).scalar() == declared.value:
            return

    def work(connection: Connection) -> None:
        before = connection.execute(known).scalar()
        if before == declared.value:
            return
        if before is None:
            connection.execute(insert(modes), {"signal": signal, "declared": declared.value})
        else:
            connection.execute(update(modes).where(modes.c.signal == signal).values(declared=declared.value))
        entry = {"at": database.now(), "actor": ACTOR, "verb": "declared", "signal": signal}
        write_audit(connection, [{**entry, "reason": declared.value, "detail": f"was {before or 'not known'}"}])

    database.write(work)


def decide_mode(database: Database, signal: str, mode: Mode, person: Person) -> None:
    """Decides the mode of a signal from now on; what was planned before is not planned anew."""

    def work(connection: Connection) -> None:
        now = database.now()
        row = {"decided": mode.value, "by": person.name, "why": person.why, "decided_at": now}
        changed = connection.execute(update(modes).where(modes.c.signal == signal).values(**row)).rowcount
        if not changed:
            connection.execute(insert(modes), {"signal": signal, "declared": Mode.SHADOW.value, **row})
        entry = {"at": now, "actor": person.name, "verb": "decided", "signal": signal, "reason": mode.value}
        write_audit(connection, [{**entry, "detail": person.why}])

    database.write(work)
