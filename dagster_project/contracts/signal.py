"""The second of a signal's two files: what `config: meta: signal:` may say, and what it means when it is silent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from dagster_project.contracts.vocabulary import Kind, Lifecycle, Mode

NAME_PATTERN = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"


class Spec(BaseModel):
    """Base of everything that people write in YAML: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _as_number(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(f"{value!r} is text; write the number without quotes")
    if value is None:
        raise ValueError("a unit without a number; write for example {hours: 26}")
    return value


Amount = Annotated[float, BeforeValidator(_as_number), Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_as_number), Field(ge=0)]


LONGEST_DAYS = 3660  # ten years; a longer promise is a slip of the pen


class Duration(Spec):
    """A span of time as `{minutes: 90}`, `{hours: 26}` or `{days: 2}`; parts add up."""

    minutes: Amount = 0
    hours: Amount = 0
    days: Amount = 0

    @model_validator(mode="before")
    @classmethod
    def _has_a_unit(cls, value: Any) -> Any:
        if isinstance(value, int | float | str):
            raise ValueError(f"{value!r} has no unit; write for example {{hours: 26}}")
        return value

    @model_validator(mode="after")
    def _is_believable(self) -> Duration:
        days = self.days + self.hours / 24 + self.minutes / 1440
        if days > LONGEST_DAYS:
            raise ValueError("longer than ten years; a shorter duration is needed, for example {hours: 26}")
        if self.as_timedelta() <= timedelta(0):
            raise ValueError("a duration longer than nothing is needed, for example {hours: 26}")
        return self

    def as_timedelta(self) -> timedelta:
        return timedelta(minutes=self.minutes, hours=self.hours, days=self.days)


class Patience(Spec):
    """How long a change must last before it counts, in builds, in data time, or both."""

    builds: Annotated[int, BeforeValidator(_as_number), Field(ge=1)] = 1
    minutes: Amount = 0
    hours: Amount = 0
    days: Amount = 0


class Guard(Spec):
    """The largest wave of one kind of event that may go out without a person's word."""

    count: Count
    share: Annotated[float, BeforeValidator(_as_number), Field(gt=0, le=1)] | None = None  # of the population

    def limit(self, population: int | None) -> int:
        """The number of events in one build that still passes; the smaller of count and share decides."""
        if self.share is None or population is None:
            return self.count
        return min(self.count, int(Decimal(str(self.share)) * population))  # 0.29 of 100 is 29, not 28.99...


class Contact(Spec):
    """Whom acting on the signal reaches, as the do-not-contact list knows them."""

    entity: Annotated[str, Field(pattern=NAME_PATTERN)]
    by: str  # path of the id: row.account_id


DEFAULT_GUARD = Guard(count=500)


class SignalSpec(Spec):
    """What a signal's YAML says under `config: meta: signal:`."""

    entity: Annotated[str, Field(pattern=NAME_PATTERN)]  # what entity_id identifies: customer, product, deal
    population: Annotated[str, Field(min_length=1)] | None = None  # the model or source that the shares are of
    lifecycle: Lifecycle = Lifecycle.STATE
    open_after: Patience | None = None
    resolve_after: Patience | None = None
    mode: Mode = Mode.SHADOW
    owner: Annotated[str, Field(min_length=1)]
    classification: tuple[str, ...] = ()
    fresh_within: Duration
    act_within: Duration
    in_time_share: Annotated[float, BeforeValidator(_as_number), Field(gt=0, le=1)] = (
        0.95  # of events inside act_within
    )
    held_within: Duration = Duration(days=2)  # how long a held action may wait for a person before the check fails
    contact: Contact | None = None  # the entity itself where the YAML is silent
    cool_down: Duration | None = None  # no new campaign for an entity that was acted on so recently
    playbook: Annotated[str, Field(pattern=NAME_PATTERN)]
    parameters: dict[str, Any] = {}
    guards: dict[Kind, Guard] = {}
    keep_personal_data: Duration | None = None  # row snapshots, requests and texts older than this are erased

    @model_validator(mode="after")
    def _is_consistent(self) -> SignalSpec:
        if self.population is None and any(guard.share is not None for guard in self.guards.values()):
            raise ValueError("guards: a share needs `population`, the model or source that it is a share of")
        if self.lifecycle is Lifecycle.OCCURRENCE and self.resolve_after is not None:
            raise ValueError("resolve_after: an occurrence never resolves; leave it out or use `lifecycle: state`")
        return self

    def contact_entity(self) -> str:
        return self.contact.entity if self.contact else self.entity

    def contact_path(self) -> str:
        return self.contact.by if self.contact else "event.entity_id"

    def guard_for(self, kind: Kind) -> Guard:
        """The guard on one kind of event; `opened` and `resolved` have one even where the YAML is silent."""
        return self.guards.get(kind, DEFAULT_GUARD)
