"""A playbook: the ordered, declarative answer to a signal, as a person writes it in YAML."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import Field, model_validator

from dagster_project.contracts.conditions import Conditions
from dagster_project.contracts.signal import NAME_PATTERN, Spec
from dagster_project.contracts.vocabulary import Kind

Name = Annotated[str, Field(pattern=NAME_PATTERN)]

# What templates and conditions may start with besides the playbook's own enrichments.
SCOPE_ROOTS = ("event", "row", "parameters", "route", "steps", "group", "members")


class Parameter(Spec):
    """A value that a signal may set; text may hold template fields."""

    description: str
    default: Any = None


class Enrichment(Spec):
    """What is looked up for every case: a dbt model's row by one of its columns, a destination's own records, or what
    the ledger knows of earlier work on the entity by one step (`open`, `delivered`, `last_external_id`, `last_at`)."""

    model: str | None = None
    key: str | None = None  # the model's column that identifies the row
    role: str | None = None
    lookup: str | None = None
    ledger: Name | None = None  # the step
    is_optional: bool = False  # a case without a row in the model has null in every column, instead of being refused
    by: str = "event.entity_id"  # the path of the value to look up: event.entity_id, row.supplier_id

    @model_validator(mode="after")
    def _has_one_source(self) -> Enrichment:
        given = {name for name in ("model", "key", "role", "lookup", "ledger") if getattr(self, name) is not None}
        if given not in ({"model", "key"}, {"role", "lookup"}, {"ledger"}):
            raise ValueError("give either `model` with its `key`, or `role` with its `lookup`, or `ledger`")
        if self.is_optional and self.model is None:
            raise ValueError("is_optional: only a model's columns are known, so that they can be null")
        return self


class RouteRule(Spec):
    when: Conditions = {}
    use: Any


class Step(Spec):
    """One call of one operation for one event, or for one group of events."""

    name: Name
    description: str = ""
    role: Name
    operation: Name
    on: tuple[Kind, ...] = (Kind.OPENED,)
    when: Conditions = {}
    needs: tuple[Name, ...] = ()  # steps of the same event that must be delivered first
    follows: Name | None = None  # a step delivered earlier in the episode, which this one continues or undoes
    group_by: str | None = None  # path of the value that events of one build share
    hold_when: tuple[Conditions, ...] = ()  # any of these; decided on the rendered work, before the first call
    is_required: bool = True  # counts for act_within
    is_internal: bool = False  # reaches only our own people: do-not-contact does not apply
    is_at_least_once: bool = False  # an unkeyed destination may be called again after an unknown outcome
    arguments: dict[str, Any] = Field(default={}, alias="with")


class Playbook(Spec):
    name: Name
    description: str
    parameters: dict[str, Parameter] = {}
    enrich: dict[str, Enrichment] = {}
    routes: dict[str, tuple[RouteRule, ...]] = {}
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _hangs_together(self) -> Playbook:
        names = [step.name for step in self.steps]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"steps: the name {sorted(twice)[0]!r} stands twice")
        for step in self.steps:
            self._check_needs(step, names)
        for name in self.enrich:
            if name in SCOPE_ROOTS:
                raise ValueError(f"enrich: {name!r} is a word of its own ({', '.join(SCOPE_ROOTS)}); choose another")
        for name, rules in self.routes.items():
            if not rules or rules[-1].when:
                raise ValueError(f"routes.{name}: the last rule must have no `when`, so that every case finds a route")
        return self

    def _check_needs(self, step: Step, names: list[str]) -> None:
        unknown = sorted(set(step.needs) - set(names))
        if unknown:
            raise ValueError(f"steps.{step.name}.needs: no step {unknown[0]!r}; there are {', '.join(names)}")
        if step.follows is not None and step.follows not in names:
            raise ValueError(f"steps.{step.name}.follows: no step {step.follows!r}; there are {', '.join(names)}")
        circle = _circle_from(step.name, {s.name: s.needs for s in self.steps})
        if circle:
            raise ValueError(f"steps.{step.name}.needs: circular, {' -> '.join(circle)}; take one of these needs out")
        late = [need for need in step.needs if names.index(need) > names.index(step.name)]
        if late:
            raise ValueError(f"steps.{step.name}.needs: {late[0]!r} stands after it; move it before this step")

    def step(self, name: str) -> Step | None:
        return next((step for step in self.steps if step.name == name), None)


def _circle_from(start: str, needs: dict[str, tuple[str, ...]]) -> list[str]:
    """The path from a step back to itself along `needs`; empty where there is none."""
    paths = [[start]]
    seen: set[str] = set()
    while paths:
        path = paths.pop()
        for need in needs.get(path[-1], ()):
            if need == start:
                return [*path, start]
            if need not in seen:
                seen.add(need)
                paths.append([*path, need])
    return []


class PlaybookVersion(Spec):
    """A playbook as one signal uses it, its parameters settled; the ledger stores it under its content hash."""

    signal: str
    playbook: Playbook
    parameters: dict[str, Any]

    def content_hash(self) -> str:
        """sha256 (first 16 hex digits) of the canonical JSON; equal content has equal hashes on every machine."""
        text = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]
