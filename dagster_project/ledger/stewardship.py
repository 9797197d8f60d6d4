"""Thresholds, spot checks and erasures as people do them: under the same rules as the levers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from dagster_project.contracts.roles import Member, Reach, Right, reach_of
from dagster_project.ledger import criteria
from dagster_project.ledger.controls import Person
from dagster_project.ledger.erasure import Erasure, erase_entity
from dagster_project.ledger.governed import EVERYTHING, Council
from dagster_project.ledger.samples import NoSuchSample, note_person_s_verdict
from dagster_project.ledger.schema import criteria as criteria_table
from dagster_project.ledger.schema import sampled_records


def reach_of_threshold(council: Council, readers: Iterable[str]) -> Reach:
    """What a threshold touches: the signals that read it; one that nobody knows to read it is nobody's alone."""
    signals = list(readers)
    return reach_of(signals, council.owner_of) if signals else EVERYTHING


def propose(
    council: Council,
    member: Member,
    name: str,
    value: Any,
    preview: Mapping[str, Any],
    readers: Iterable[str],
    why: str,
) -> int:
    """Files a version of a threshold. Returns its number. Raises NotAllowed.

    Parameters: who asks the rules; the person; the threshold; its value; what it would change, by signal; the signals
    that read it; why.
    """
    council.ask(member, Right.EDIT_CRITERIA, reach_of_threshold(council, readers), name)
    return criteria.propose(council.database, name, value, preview, Person(member.name, why))


def accept(council: Council, member: Member, name: str, number: int, readers: Iterable[str], why: str) -> None:
    """Puts a proposed version into force. Raises NotAllowed, also for whoever proposed it; CriteriaRefused."""
    council.ask(member, Right.APPROVE, reach_of_threshold(council, readers), name)
    if not member.is_unasked and _is_own(council, member, name, number):
        told = f"four eyes: {member.name} proposed version {number} of {name}, so another person has to accept it"
        council.refuse(member, Right.APPROVE, told)
    criteria.accept(council.database, name, number, Person(member.name, why), is_alone=member.is_unasked)


def refuse(council: Council, member: Member, name: str, number: int, readers: Iterable[str], why: str) -> None:
    """Ends a proposal for good; its own author needs no other right for it. Raises NotAllowed, CriteriaRefused."""
    is_own = _is_own(council, member, name, number) and member.has(Right.EDIT_CRITERIA)
    right = Right.EDIT_CRITERIA if is_own else Right.REJECT
    council.ask(member, right, reach_of_threshold(council, readers), name)
    criteria.refuse(council.database, name, number, Person(member.name, why))


def roll_back(council: Council, member: Member, name: str, readers: Iterable[str], why: str) -> Any | None:
    """Takes the version in force back. Returns the value that holds again, None for the repository's default.

    Raises NotAllowed, CriteriaRefused.
    """
    council.ask(member, Right.APPROVE, reach_of_threshold(council, readers), name)
    return criteria.roll_back(council.database, name, Person(member.name, why))


def erase(council: Council, member: Member, signal: str, entity_id: str, why: str) -> Erasure:
    """Empties what the ledger holds about one entity of one signal. Raises NotAllowed, NotErased."""
    council.ask(member, Right.ERASE, reach_of([signal], council.owner_of), f"{signal}, {entity_id}")
    return erase_entity(council.database, signal, entity_id, Person(member.name, why))


def check_sample(council: Council, member: Member, sample_id: str, action_id: str, verdict: str, why: str) -> None:
    """Keeps a person's own verdict on a sampled record. Raises NotAllowed, NoSuchSample, ValueError."""
    council.ask(member, Right.CHECK_SAMPLES)
    of_record = (sampled_records.c.sample_id == sample_id, sampled_records.c.action_id == action_id)
    with council.database.reading() as connection:
        signal = connection.execute(select(sampled_records.c.signal).where(*of_record)).scalar()
    if signal is None:
        raise NoSuchSample(f"sample {sample_id} has no record of action {action_id}. Nothing was changed.")
    council.ask(member, Right.CHECK_SAMPLES, reach_of([signal], council.owner_of), f"{sample_id}, {action_id}")
    note_person_s_verdict(council.database, sample_id, action_id, verdict, Person(member.name, why))


def _is_own(council: Council, member: Member, name: str, number: int) -> bool:
    of_version = (criteria_table.c.name == name, criteria_table.c.number == number)
    with council.database.reading() as connection:
        row = connection.execute(select(criteria_table).where(*of_version)).first()
    return row is not None and criteria.is_own_proposal(row, member.name)
