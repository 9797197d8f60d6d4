"""Who may do what: the rights of each role, narrowed to the signals of an owner, and the rule of four eyes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Right(StrEnum):
    VIEW = "view"
    PAUSE = "pause"  # and resume
    REPLAY = "replay"
    DISCARD = "discard"
    APPROVE = "approve"
    REJECT = "reject"
    GO_SHADOW = "go_shadow"
    GO_LIVE = "go_live"
    SEE_PERSONAL_DATA = "see_personal_data"  # in what they decide on, and nowhere else
    CHECK_SAMPLES = "check_samples"  # keep one's own verdict on a record that was read back
    EDIT_CRITERIA = "edit_criteria"  # propose; accepting, refusing and rolling back are approvals
    ERASE = "erase"  # personal data of one entity
    GIVE_ACCESS = "give_access"
    PRUNE = "prune"  # take settled history away


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    EDITOR = "editor"
    ADMIN = "admin"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.VIEW}),
    Role.OPERATOR: frozenset(
        {Right.VIEW, Right.PAUSE, Right.REPLAY, Right.DISCARD, Right.GO_SHADOW, Right.CHECK_SAMPLES}
    ),
    Role.APPROVER: frozenset(
        {Right.VIEW, Right.APPROVE, Right.REJECT, Right.GO_LIVE, Right.SEE_PERSONAL_DATA, Right.CHECK_SAMPLES}
    ),
    Role.EDITOR: frozenset({Right.VIEW, Right.EDIT_CRITERIA}),
    Role.ADMIN: frozenset(Right),
}

# Whoever did one of these to an action has had a hand in it, and another person has to approve it.
OWN_HAND_VERBS = frozenset({"proposed", "replayed"})


@dataclass(frozen=True)
class Member:
    """A person with the roles that they have.

    Parameters: the name, as the audit trail keeps it; the roles; the owners (`owner` in a signal's YAML) whose signals
    the person is confined to, none where they are not confined; whether they came in unasked, on a machine where
    nobody has to sign in.
    """

    name: str
    roles: frozenset[Role]
    owners: frozenset[str] = frozenset()
    is_unasked: bool = False

    @property
    def rights(self) -> frozenset[Right]:
        return frozenset().union(*(RIGHTS[role] for role in self.roles))

    @property
    def is_confined(self) -> bool:
        return bool(self.owners)

    def has(self, right: Right) -> bool:
        return right in self.rights


@dataclass(frozen=True)
class Reach:
    """What a deed touches: the owners of the signals, and whether it touches what is nobody's alone (all signals, a
    destination, a signal that is not in the catalog)."""

    owners: frozenset[str] = frozenset()
    is_everything: bool = False


def reach_of(signals: Iterable[str], owner_of: Mapping[str, str]) -> Reach:
    """What a deed on these signals touches; one without a known owner is nobody's alone."""
    named = set(signals)
    return Reach(
        frozenset(owner_of[name] for name in named if name in owner_of), any(name not in owner_of for name in named)
    )


def refusal(member: Member, right: Right, reach: Reach | None = None) -> str | None:
    """Why a person may not do something; None where they may.

    Parameters: the person; the right that it needs; what it touches, left out where that is not known yet.
    """
    if not member.has(right):
        roles = ", ".join(sorted(member.roles)) or "no role"
        able = ", ".join(role for role in Role if right in RIGHTS[role])
        return f"{member.name} has {roles}; {right.replace('_', ' ')} needs one of: {able}"
    if reach is None or not member.is_confined:
        return None
    confined = f"{member.name} is confined to the signals of {', '.join(sorted(member.owners))}"
    if reach.is_everything:
        return f"{confined}; this reaches further"
    if foreign := reach.owners - member.owners:
        return f"{confined}; this is {', '.join(sorted(foreign))}'s"
    return None


def own_hand(name: str, deeds: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """The four eyes' rule: what a person may not approve because they proposed or replayed it themselves.

    Parameters: the person's name; (action id, verb, actor) from the audit trail. Returns action id -> verb.
    """
    wanted = name.casefold()
    return {
        action_id: verb for action_id, verb, actor in deeds if verb in OWN_HAND_VERBS and actor.casefold() == wanted
    }
