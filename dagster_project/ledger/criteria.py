"""Keeps the versions of thresholds: proposed by one person, accepted by another, in force from the next build on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from sqlalchemy import Connection, Row, func, insert, select, update

from dagster_project.ledger.controls import Person
from dagster_project.ledger.database import Database, open_database
from dagster_project.ledger.schema import criteria
from dagster_project.ledger.transitions import write_audit

PROPOSED, IN_FORCE, SUPERSEDED, REFUSED, ROLLED_BACK = "proposed", "in_force", "superseded", "refused", "rolled_back"
OVER = "criteria"
PLAIN_TEXT = re.compile(r"[\w .,:/+-]{1,100}")


class CriteriaRefused(Exception):
    """A change of criteria that cannot be made as it was asked for; nothing was changed."""


@dataclass(frozen=True)
class Drift:
    """A threshold whose value in force is not the repository's."""

    name: str
    default: Any
    value: Any
    number: int


def parsed(name: str, text: str, defaults: Mapping[str, Any]) -> Any:
    """The value that a person's text means, of the kind that the repository's is. Raises CriteriaRefused."""
    if isinstance(defaults.get(name), str):
        return checked(name, text, defaults)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    return checked(name, value, defaults)


def checked(name: str, value: Any, defaults: Mapping[str, Any]) -> Any:
    """The value, if the repository has such a threshold and it is of the same kind. Raises CriteriaRefused.

    dbt writes a value into SQL as it is, so a text may hold nothing that ends a literal there.
    """
    if name not in defaults:
        raise CriteriaRefused(f"{name!r} is none of: {', '.join(sorted(defaults))}. Nothing was proposed.")
    default = defaults[name]
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    if is_number:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    else:
        fits = type(value) is type(default) and (not isinstance(value, str) or bool(PLAIN_TEXT.fullmatch(value)))
    if not fits:
        wanted = "a number" if is_number else f"{type(default).__name__} of letters, digits and . , : / + -"
        raise CriteriaRefused(
            f"{name} is {default!r} in the repository; {value!r} is not {wanted}. Nothing was proposed."
        )
    return value


def propose(database: Database, name: str, value: Any, preview: Mapping[str, Any], person: Person) -> int:
    """Files a new version, which changes nothing until another person accepts it. Returns its number.

    Parameters: the threshold; its value; what it would change, by signal; who proposes it, and why.
    """

    def work(connection: Connection) -> int:
        of_name = select(func.max(criteria.c.number)).where(criteria.c.name == name)
        number = int(connection.execute(of_name).scalar() or 0) + 1
        row = {
            "name": name,
            "number": number,
            "value_json": json.dumps(value),
            "state": PROPOSED,
            "why": person.why,
            "preview_json": json.dumps(dict(preview), sort_keys=True),
            "proposed_by": person.name,
            "proposed_at": database.now(),
        }
        connection.execute(insert(criteria), row)
        _tell(connection, database, "criteria_proposed", name, number, value, person)
        return number

    return database.write(work, over=OVER)


def accept(database: Database, name: str, number: int, person: Person, is_alone: bool = False) -> None:
    """Puts a proposed version into force, in the place of the one before.

    Parameters: the ledger; the threshold and the version's number; who accepts it, and why; whether there is nobody
    else, because nobody has to sign in.
    Raises CriteriaRefused where there is no such proposal, or for whoever proposed it: four eyes.
    """

    def work(connection: Connection) -> None:
        row = _proposal(connection, name, number)
        if not is_alone and is_own_proposal(row, person.name):
            raise CriteriaRefused(
                f"four eyes: {person.name} proposed version {number} of {name}, so another person has to accept it. "
                "Nothing was changed."
            )
        in_place = (criteria.c.name == name, criteria.c.state == IN_FORCE)
        connection.execute(update(criteria).where(*in_place).values(state=SUPERSEDED))
        _decide(connection, database, row, IN_FORCE, "criteria_accepted", person)

    database.write(work, over=OVER)


def refuse(database: Database, name: str, number: int, person: Person) -> None:
    """Ends a proposal for good; its own author may. Raises CriteriaRefused where there is no such proposal."""

    def work(connection: Connection) -> None:
        _decide(connection, database, _proposal(connection, name, number), REFUSED, "criteria_refused", person)

    database.write(work, over=OVER)


def roll_back(database: Database, name: str, person: Person) -> Any | None:
    """Takes the version in force back; the one before it, which two people agreed on once, is in force again.

    Returns that version's value, None where the repository's default holds again. Raises CriteriaRefused where no
    version is in force.
    """

    def work(connection: Connection) -> Any | None:
        in_place = (criteria.c.name == name, criteria.c.state == IN_FORCE)
        row = connection.execute(select(criteria).where(*in_place)).first()
        if row is None:
            raise CriteriaRefused(
                f"no version of {name} is in force; the repository's default holds. Nothing was changed."
            )
        _decide(connection, database, row, ROLLED_BACK, "criteria_rolled_back", person)
        earlier = (criteria.c.name == name, criteria.c.state == SUPERSEDED, criteria.c.number < row.number)
        before = connection.execute(
            select(criteria).where(*earlier).order_by(criteria.c.decided_at.desc(), criteria.c.number.desc()).limit(1)
        ).first()
        if before is None:
            return None
        again = (criteria.c.name == name, criteria.c.number == before.number)
        connection.execute(update(criteria).where(*again).values(state=IN_FORCE))
        return json.loads(before.value_json)

    return database.write(work, over=OVER)


def is_own_proposal(row: Row[Any], name: str) -> bool:
    """Whether a version was proposed by this person, who then must not be the one to accept it."""
    return str(row.proposed_by).casefold() == name.casefold()


def in_force(connection: Connection) -> dict[str, tuple[int, Any]]:
    """The thresholds that differ from the repository's, with the version's number."""
    rows = connection.execute(select(criteria).where(criteria.c.state == IN_FORCE).order_by(criteria.c.name))
    return {row.name: (row.number, json.loads(row.value_json)) for row in rows}


def versions(connection: Connection, name: str | None = None) -> list[Row[Any]]:
    """All versions, or those of one threshold, the newest first."""
    where = [criteria.c.name == name] if name is not None else []
    return list(connection.execute(select(criteria).where(*where).order_by(criteria.c.proposed_at.desc())))


def drifts(connection: Connection, defaults: Mapping[str, Any]) -> list[Drift]:
    """What is in force and is not what the repository says; also where the repository knows it no more (None)."""
    return [
        Drift(name, defaults.get(name), value, number)
        for name, (number, value) in in_force(connection).items()
        if defaults.get(name) != value
    ]


def values_in_force(database: Database) -> dict[str, Any]:
    """The thresholds that differ from the repository's."""
    with database.reading() as connection:
        return {name: value for name, (_, value) in in_force(connection).items()}


def words_for(values: Mapping[str, Any]) -> list[str]:
    """What to add to a dbt command so that it works with these thresholds."""
    return ["--vars", json.dumps(dict(values), sort_keys=True)] if values else []


def words_in_force(ledger_address: str) -> list[str]:
    """What to add to `dbt build` so that it builds with the criteria in force; nothing where the defaults hold.

    Raises LedgerUnavailable: without the ledger nobody knows which thresholds hold, so nothing is built.
    """
    database = open_database(ledger_address)
    try:
        return words_for(values_in_force(database))
    finally:
        database.close()


def _proposal(connection: Connection, name: str, number: int) -> Row[Any]:
    row = connection.execute(select(criteria).where(criteria.c.name == name, criteria.c.number == number)).first()
    if row is None or row.state != PROPOSED:
        told = "there is none" if row is None else f"it is {row.state}"
        raise CriteriaRefused(f"version {number} of {name} is not waiting for a decision: {told}. Nothing was changed.")
    return row


def _decide(connection: Connection, database: Database, row: Row[Any], state: str, verb: str, person: Person) -> None:
    of_version = (criteria.c.name == row.name, criteria.c.number == row.number)
    values = {"state": state, "decided_by": person.name, "decided_why": person.why, "decided_at": database.now()}
    connection.execute(update(criteria).where(*of_version).values(**values))
    _tell(connection, database, verb, row.name, row.number, json.loads(row.value_json), person)


def _tell(
    connection: Connection, database: Database, verb: str, name: str, number: int, value: Any, person: Person
) -> None:
    entry = {"at": database.now(), "actor": person.name, "verb": verb, "reason": name[:64]}
    write_audit(connection, [{**entry, "detail": f"version {number}, {value!r}: {person.why}"}])
