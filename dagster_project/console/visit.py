"""One visit to a page: who comes, with what in the address and in the form, and what they may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qs

from dagster_project.console.desk import Desk
from dagster_project.contracts.catalog import Catalog
from dagster_project.contracts.roles import Member, Right, reach_of, refusal
from dagster_project.ledger.governed import Council

MOST_FIELDS = 2000
Fields = Mapping[str, Sequence[str]]


class BadForm(ValueError):
    """What was sent is no form that this console made."""


@dataclass(frozen=True)
class Visit:
    """Parameters: the console's desk; the person; what a form must carry; the moment; fields of the address, of the
    form, and of the path."""

    desk: Desk
    member: Member
    form_key: str
    at: datetime
    query: Fields = field(default_factory=dict)
    form: Fields = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)
    address: str = "/"

    @property
    def catalog(self) -> Catalog:
        return self.desk.catalogs.current().catalog

    @property
    def council(self) -> Council:
        return self.desk.council()

    def asked(self, name: str, default: str = "") -> str:
        """The one value of a field of the address."""
        return (self.query.get(name) or [default])[0].strip()

    def given(self, name: str, default: str = "") -> str:
        """The one value of a field of the form."""
        return (self.form.get(name) or [default])[0].strip()

    def may(self, right: Right, *signals: str) -> bool:
        """Whether the person has a right, on all of these signals where some are named."""
        reach = reach_of(signals, self.desk.owner_of()) if signals else None
        return refusal(self.member, right, reach) is None

    def may_everywhere(self, right: Right) -> bool:
        """Whether the person has a right on what is nobody's alone: everything at once, a destination."""
        return self.member.has(right) and not self.member.is_confined

    def seen_signals(self) -> frozenset[str] | None:
        """The signals whose work the person may see; None for all, those that are gone included."""
        if not self.member.is_confined:
            return None
        return frozenset(n for n, owner in self.desk.owner_of().items() if owner in self.member.owners)

    def sees(self, signal: str | None) -> bool:
        seen = self.seen_signals()
        return seen is None or signal in seen


def fields_of(text: str) -> Fields:
    """The fields of a query or an urlencoded form. Raises BadForm where there are too many."""
    try:
        given = parse_qs(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
        return {name: [storable(value) for value in values] for name, values in given.items()}
    except ValueError as error:
        raise BadForm(f"more than {MOST_FIELDS} fields; choose fewer at a time. Nothing was changed.") from error


def storable(text: str) -> str:
    """The text without what PostgreSQL can keep in no column and look for in none."""
    return text.replace("\0", "")
