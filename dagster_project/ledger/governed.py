"""The levers as people pull them: the rules on roles, owners and four eyes first, refused attempts in the audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, and_, or_, select, text

from dagster_project.contracts.roles import Member, Reach, Right, own_hand, reach_of, refusal
from dagster_project.contracts.vocabulary import Mode
from dagster_project.ledger import contacts, controls, modes
from dagster_project.ledger.controls import Person, Selection, selected
from dagster_project.ledger.database import Database
from dagster_project.ledger.gates import ALL
from dagster_project.ledger.retry_policy import UNKNOWN_OUTCOME
from dagster_project.ledger.schema import actions, audit
from dagster_project.ledger.transitions import write_audit

EVERYTHING = Reach(is_everything=True)
SIGNAL_SUBJECT = "signal:"
NAMED = 5


class NotAllowed(Exception):
    """A person may not do this; nothing was changed, and the attempt is in the audit trail."""


class Lever(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    REPLAY = "replay"
    DISCARD = "discard"


PULLS: Mapping[Lever, Callable[[Database, Selection, Person], int]] = {
    Lever.APPROVE: controls.approve,
    Lever.REJECT: controls.reject,
    Lever.REPLAY: controls.replay,
    Lever.DISCARD: controls.discard,
}
HELD = actions.c.state == "held"
IS_UNKNOWN = actions.c.reason == UNKNOWN_OUTCOME
MOVABLE: Mapping[Lever, ColumnElement[bool]] = {  # what each lever can take hold of
    Lever.APPROVE: and_(HELD, ~IS_UNKNOWN),
    Lever.REJECT: HELD,
    Lever.REPLAY: or_(actions.c.state == "dead", and_(HELD, IS_UNKNOWN)),
    Lever.DISCARD: actions.c.state.in_(("waiting", "held", "dead")),
}


@dataclass(frozen=True)
class Council:
    """Asks the rules before a lever is pulled. `owner_of` is the owner of each signal of the catalog."""

    database: Database
    owner_of: Mapping[str, str]

    def pull(self, member: Member, lever: Lever, selection: Selection, why: str) -> int:
        """Pulls a lever on a selection. Returns how many actions and groups changed.

        Raises NotAllowed where the person may not, or has had a hand in what they would approve; NothingSelected for
        an empty selection.
        """
        right = Right(lever.value)
        self.ask(member, right)
        with self.database.reading() as connection:
            touched = signals_of(connection, lever, selection)
            own = {} if lever is not Lever.APPROVE else own_work(connection, member, selection)
        self.ask(member, right, reach_of(touched, self.owner_of))
        if own:
            self.refuse(member, right, _own_hand_text(member, own), tuple(own))
        return PULLS[lever](self.database, selection, Person(member.name, why))

    def mark_done(self, member: Member, selection: Selection, why: str) -> int:
        """Notes that held work of unknown outcome was done. Raises NotAllowed, or NothingSelected."""
        self.ask(member, Right.DISCARD)
        with self.database.reading() as connection:
            touched = signals_of(connection, Lever.REJECT, selection)
        self.ask(member, Right.DISCARD, reach_of(touched, self.owner_of))
        return controls.mark_done(self.database, selection, Person(member.name, why))

    def pause(self, member: Member, subject: str, why: str) -> bool:
        """Raises NotAllowed; False where it was paused already."""
        self.ask(member, Right.PAUSE, self.reach_of_subject(subject), subject)
        return controls.pause(self.database, subject, Person(member.name, why))

    def resume(self, member: Member, subject: str, why: str) -> bool:
        """Raises NotAllowed; False where nothing was paused under that name."""
        self.ask(member, Right.PAUSE, self.reach_of_subject(subject), subject)
        return controls.resume(self.database, subject, Person(member.name, why))

    def decide_mode(self, member: Member, signal: str, mode: Mode, why: str) -> None:
        """Raises NotAllowed."""
        right = Right.GO_LIVE if mode is Mode.LIVE else Right.GO_SHADOW
        self.ask(member, right, reach_of([signal], self.owner_of), signal)
        modes.decide_mode(self.database, signal, mode, Person(member.name, why))

    def accept_missing_contacts(self, member: Member, entries: Sequence[contacts.Entry], why: str) -> int:
        """Takes entries off the do-not-contact list. Returns how many there were. Raises NotAllowed."""
        self.ask(member, Right.APPROVE, EVERYTHING, contacts.DO_NOT_CONTACT_MODEL)
        return contacts.accept_missing(self.database, entries, Person(member.name, why))

    def reach_of_subject(self, subject: str) -> Reach:
        """What a pause touches: one signal, or more than one owner's."""
        if subject == ALL or not subject.startswith(SIGNAL_SUBJECT):
            return EVERYTHING
        return reach_of([subject.removeprefix(SIGNAL_SUBJECT)], self.owner_of)

    def ask(self, member: Member, right: Right, reach: Reach | None = None, about: str = "") -> None:
        """Raises NotAllowed, with the attempt in the audit trail, where the rules refuse it."""
        if told := refusal(member, right, reach):
            self.refuse(member, right, f"{about}: {told}" if about else told)

    def refuse(self, member: Member, right: Right, told: str, action_ids: tuple[str, ...] = ()) -> None:
        """Notes the attempt and raises NotAllowed."""
        note_refusal(self.database, member.name, right.value, told, action_ids)
        raise NotAllowed(f"{told}. Nothing was changed; the attempt is in the audit trail.")


def signals_of(connection: Connection, lever: Lever, selection: Selection) -> set[str]:
    """The signals of what a lever would move."""
    query = select(actions.c.signal).where(MOVABLE[lever], *selected(selection)).distinct()
    return set(connection.execute(query).scalars())


def own_work(connection: Connection, member: Member, selection: Selection) -> dict[str, str]:
    """What of a selection the person has replayed or proposed themselves: action id -> verb.

    Where nobody has to sign in there is one person, and no second pair of eyes to ask for.
    """
    if member.is_unasked:
        return {}
    chosen = select(actions.c.action_id).where(MOVABLE[Lever.APPROVE], *selected(selection))
    deeds = select(audit.c.action_id, audit.c.verb, audit.c.actor).where(
        text("actor <> 'loop' and substr(actor, 1, 4) <> 'run:'"), audit.c.action_id.in_(chosen)
    )
    return own_hand(member.name, ((row.action_id, row.verb, row.actor) for row in connection.execute(deeds)))


def _own_hand_text(member: Member, own: Mapping[str, str]) -> str:
    some = ", ".join(f"{action_id} ({verb})" for action_id, verb in list(own.items())[:NAMED])
    more = f" and {len(own) - NAMED} more" if len(own) > NAMED else ""
    return f"four eyes: {member.name} has had a hand in {some}{more}, so another person has to approve"


def note_refusal(database: Database, actor: str, what: str, detail: str, action_ids: Iterable[str] = ()) -> None:
    """Puts a refused attempt into the audit trail, once for each action that it was about."""
    _note(database, actor, "refused", what, detail, action_ids)


def note_look(database: Database, member: Member, action_ids: Iterable[str], where: str) -> None:
    """Puts a look at personal data into the audit trail, once for each action whose request was shown."""
    if looked_at := list(action_ids):
        _note(database, member.name, "looked", "personal_data", where, looked_at)


def note_look_at_signal(database: Database, member: Member, signal: str, where: str) -> None:
    """Puts a look at a signal's rows, which may not be any action's, into the audit trail."""
    entry = {"at": database.now(), "actor": member.name[:128], "verb": "looked", "signal": signal}
    database.write(lambda connection: write_audit(connection, [{**entry, "reason": "personal_data", "detail": where}]))


def _note(database: Database, actor: str, verb: str, reason: str, detail: str, action_ids: Iterable[str]) -> None:
    entry = {"at": database.now(), "actor": actor[:128], "verb": verb, "reason": reason[:64], "detail": detail}

    def work(connection: Connection) -> None:
        about = select(actions.c.action_id, actions.c.signal, actions.c.build_id)
        rows = connection.execute(about.where(actions.c.action_id.in_(list(action_ids)))).mappings().all()
        write_audit(connection, [{**entry, **row} for row in rows] or [entry])

    database.write(work)
