"""Holds a playbook against the signal that uses it, before anything is sent: every field, operation and argument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dagster_project.contracts.catalog import CatalogModel, Column, Problem
from dagster_project.contracts.conditions import Comparison, Conditions, FieldReference
from dagster_project.contracts.destination import Destination, IdempotencyClass, Operation
from dagster_project.contracts.event import EVENT_FIELDS
from dagster_project.contracts.playbook import SCOPE_ROOTS, Playbook, PlaybookVersion, Step
from dagster_project.contracts.signal import SignalSpec
from dagster_project.detect.manifest import SignalDraft
from dagster_project.respond.playbook_files import PlaybookFile
from dagster_project.respond.secret_signs import SECRET_MESSAGE, SECRET_REMEDY, is_secret_key, is_secret_text
from dagster_project.respond.templating import FILTERS, RenderFailed, check_compiles, fields_used, filters_unknown

STEP_RESULT_FIELDS = ("external_id", "url", "result")
LEDGER_FIELDS = ("open", "delivered", "last_external_id", "last_at")
CONDITION_ROOTS = ("severity", "score", "kind", "episode", "row", "event", "parameters", "group")


@dataclass(frozen=True)
class Surroundings:
    """What a playbook may refer to outside itself."""

    models: Mapping[str, CatalogModel]
    destinations: Mapping[str, type[Destination]]  # by role, as the settings bind them


def settle_parameters(source: PlaybookFile, spec: SignalSpec) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    """The playbook's parameters with the signal's values, and what is wrong with them as (key, message, remedy)."""
    known = source.playbook.parameters
    wrong = [
        (
            f"parameters.{name}",
            f"the playbook {source.playbook.name!r} has no parameter {name!r}",
            f"there are: {', '.join(known) or 'none'}",
        )
        for name in spec.parameters
        if name not in known
    ]
    settled = {name: spec.parameters.get(name, parameter.default) for name, parameter in known.items()}
    missing = [name for name, value in settled.items() if value is None and name not in spec.parameters]
    wrong += [
        (f"parameters.{name}", f"the parameter {name!r} has no default and is not set", known[name].description)
        for name in missing
    ]
    wrong += [
        (f"parameters.{name}", SECRET_MESSAGE, SECRET_REMEDY)
        for name, content in spec.parameters.items()
        if any(isinstance(value, str) and is_secret_text(value) for _, value in _leaves(content))
    ]
    return settled, wrong


def check_playbook(
    source: PlaybookFile,
    version: PlaybookVersion,
    columns: Mapping[str, Column],
    around: Surroundings,
    draft: SignalDraft | None = None,
) -> list[Problem]:
    """Every problem of a playbook as one signal uses it, once each; empty where it may be used.

    Parameters: the playbook's file; its version for the signal; the signal's columns; what it may refer to; the signal,
    so that a mistake in a parameter's text is told where the signal says it.
    """
    return list(dict.fromkeys(_Check(source, version, columns, around, draft).problems()))


class _Check:
    def __init__(
        self,
        source: PlaybookFile,
        version: PlaybookVersion,
        columns: Mapping[str, Column],
        around: Surroundings,
        draft: SignalDraft | None,
    ) -> None:
        self.source, self.version, self.columns, self.around, self.draft = source, version, columns, around, draft

    @property
    def playbook(self) -> Playbook:
        return self.source.playbook

    def problems(self) -> Iterator[Problem]:
        yield from self._secrets()
        yield from self._enrichments()
        for name, rules in self.playbook.routes.items():
            for index, rule in enumerate(rules):
                yield from self._conditions(rule.when, ["routes", name, index, "when"], set())
                yield from self._templates(rule.use, ["routes", name, index, "use"], None)
        for step in self.playbook.steps:
            yield from self._step(step)

    def _secrets(self) -> Iterator[Problem]:
        for path, value in _leaves(self.playbook.model_dump(mode="json", by_alias=True)):
            is_key = "with" in path and is_secret_key(str(path[-1]))
            if isinstance(value, str) and (is_key or is_secret_text(value)):
                yield self.source.problem(self._named(path), SECRET_MESSAGE, SECRET_REMEDY)

    def _named(self, path: tuple[str | int, ...]) -> list[str | int]:
        """The path with a step's name for its number, as people speak of it."""
        if path[0] == "steps" and len(path) > 1 and isinstance(path[1], int):
            return ["steps", self.playbook.steps[path[1]].name, *path[2:]]
        return list(path)

    def _enrichments(self) -> Iterator[Problem]:
        for name, enrichment in self.playbook.enrich.items():
            where: list[str | int] = ["enrich", name]
            if enrichment.model is not None:
                model = self.around.models.get(enrichment.model)
                if model is None:
                    yield self.source.problem([*where, "model"], f"there is no dbt model {enrichment.model!r}")
                elif enrichment.key not in model.columns:
                    remedy = f"columns: {', '.join(model.columns)}"
                    yield self.source.problem([*where, "key"], f"{model.name} has no column {enrichment.key!r}", remedy)
            elif enrichment.role is not None:
                destination = self.around.destinations.get(enrichment.role)
                if destination is None:
                    yield self.source.problem([*where, "role"], *self._unknown_role(enrichment.role))
                elif enrichment.lookup not in destination.lookups:
                    remedy = f"lookups: {', '.join(sorted(destination.lookups)) or 'none'}"
                    yield self.source.problem(
                        [*where, "lookup"], f"{destination.name} has no lookup {enrichment.lookup!r}", remedy
                    )
            elif self.playbook.step(enrichment.ledger or "") is None:
                yield self.source.problem([*where, "ledger"], f"there is no step {enrichment.ledger!r}")
            yield from self._path(tuple(enrichment.by.split(".")), [*where, "by"], {"event", "row", "steps"}, None)

    def _unknown_role(self, role: str) -> tuple[str, str]:
        return (
            f"no destination is bound to the role {role!r}",
            f"bound roles: {', '.join(sorted(self.around.destinations))}",
        )

    def _step(self, step: Step) -> Iterator[Problem]:
        where: list[str | int] = ["steps", step.name]
        group = {"group"} if step.group_by else set()
        yield from self._conditions(step.when, [*where, "when"], set())
        for index, conditions in enumerate(step.hold_when):
            yield from self._conditions(conditions, [*where, "hold_when", index], group | set(self.playbook.enrich))
        if step.group_by:
            yield from self._path(tuple(step.group_by.split(".")), [*where, "group_by"], {"event", "row"}, None)
        yield from self._needs(step, where)
        destination = self.around.destinations.get(step.role)
        if destination is None:
            yield self.source.problem([*where, "role"], *self._unknown_role(step.role))
            return
        operation = destination.operations.get(step.operation)
        if operation is None:
            remedy = f"{destination.name} offers: {', '.join(sorted(destination.operations))}"
            yield self.source.problem([*where, "operation"], f"no operation {step.operation!r}", remedy)
            return
        yield from self._arguments(step, operation, where)

    def _needs(self, step: Step, where: list[str | int]) -> Iterator[Problem]:
        for need in step.needs:
            needed = self.playbook.step(need)
            if needed and not set(step.on) <= set(needed.on):
                message = f"{need!r} does not act on {', '.join(sorted(set(step.on) - set(needed.on)))}"
                yield self.source.problem(
                    [*where, "needs"],
                    message,
                    "a need is a step for the same kinds of event; use `follows` for an earlier event's",
                )
        followed = self.playbook.step(step.follows) if step.follows else None
        if followed and set(step.on) & set(followed.on):
            both = ", ".join(sorted(set(step.on) & set(followed.on)))
            message = f"{step.follows!r} acts on {both} too, in the same event, so there is nothing earlier to follow"
            yield self.source.problem([*where, "follows"], message, "use `needs`")
        if step.is_at_least_once and (destination := self.around.destinations.get(step.role)):
            operation = destination.operations.get(step.operation)
            if operation and operation.idempotency is not IdempotencyClass.UNKEYED:
                yield self.source.problem(
                    [*where, "is_at_least_once"], "only an unkeyed operation needs it", "leave it out"
                )

    def _arguments(self, step: Step, operation: Operation, where: list[str | int]) -> Iterator[Problem]:
        fields = operation.arguments.model_fields
        for name in step.arguments:
            if name not in fields:
                remedy = f"arguments: {', '.join(fields)}"
                yield self.source.problem([*where, "with", name], f"{operation.name} has no argument {name!r}", remedy)
        for name, field in fields.items():
            if field.is_required() and name not in step.arguments:
                yield self.source.problem(
                    [*where, "with"], f"{operation.name} needs the argument {name!r}", field.description or ""
                )
        yield from self._templates(step.arguments, [*where, "with"], step)
        yield from self._loops(step.arguments, [*where, "with"], step)

    def _loops(self, content: Any, where: list[str | int], step: Step) -> Iterator[Problem]:
        """`for_each` goes over the members of a group; there is nothing else to go over."""
        if isinstance(content, Mapping):
            if "for_each" in content and (set(content) != {"for_each", "use"} or content["for_each"] != "members"):
                yield self.source.problem([*where, "for_each"], "not a loop", "write {for_each: members, use: ...}")
            elif "for_each" in content and not step.group_by:
                yield self.source.problem([*where, "for_each"], "the step has no `group_by`, so it has no members")
            for key, value in content.items():
                yield from self._loops(value, [*where, key], step)
        elif isinstance(content, list | tuple):
            for index, value in enumerate(content):
                yield from self._loops(value, [*where, index], step)

    def _templates(self, content: Any, where: list[str | int], step: Step | None) -> Iterator[Problem]:
        for path, value in _leaves(content):
            if isinstance(value, str) and "{" in value:
                yield from self._template(value, [*where, *path], step)

    def _template(self, text: str, where: list[str | int], step: Step | None, depth: int = 0) -> Iterator[Problem]:
        try:
            unknown = filters_unknown(text)
            used = [] if unknown else sorted(set(fields_used(text)))
            if not unknown:
                check_compiles(text)
        except RenderFailed as error:
            yield self.source.problem(where, f"not a template: {error}", "fields are written {{ row.name }}")
            return
        for name in unknown:
            yield self.source.problem(where, f"no filter {name!r}", f"of our own: {', '.join(FILTERS)}")
        roots = self._template_roots(step, depth)
        for path in used:
            yield from self._path(path, where, roots, step)
            if path[0] == "parameters" and len(path) > 1 and depth == 0:
                yield from self._parameter(path[1], where, step)

    def _parameter(self, name: str, where: list[str | int], step: Step | None) -> Iterator[Problem]:
        """The templates in a parameter's value, told where it was written: in the signal, or here as the default."""
        for _, value in _leaves(self.version.parameters.get(name)):
            if isinstance(value, str) and "{" in value:
                for problem in self._template(value, where, step, depth=1):
                    if self.draft is not None and name in self.draft.spec.parameters:
                        yield self.draft.problem(f"parameters.{name}", problem.message, problem.remedy)
                    else:
                        yield problem

    def _template_roots(self, step: Step | None, depth: int) -> set[str]:
        """What a template may begin with: routes come before the steps, parameters are put in once, groups need one."""
        roots = {*SCOPE_ROOTS, *self.playbook.enrich}
        if step is None:
            roots -= {"route", "steps"}
        if step is None or not step.group_by:
            roots -= {"group", "members"}
        return roots - {"parameters"} if depth else roots

    def _conditions(self, conditions: Conditions, where: list[str | int], extra: set[str]) -> Iterator[Problem]:
        roots = set(CONDITION_ROOTS) - {"group"} | extra
        for field, matcher in conditions.items():
            yield from self._path(tuple(field.split(".")), [*where, field], roots, None)
            for bound in _fields_in(matcher):
                yield from self._path(tuple(bound.split(".")), [*where, field], roots, None)

    def _path(
        self, path: tuple[str, ...], where: list[str | int], roots: set[str], step: Step | None
    ) -> Iterator[Problem]:
        root, shown = path[0], ".".join(path)
        if root not in roots:
            yield self.source.problem(
                where, f"unknown field {shown!r}", f"it may begin with: {', '.join(sorted(roots))}"
            )
            return
        known = self._known_under(root, step)
        if known is not None and len(path) > 1 and path[1] not in known:
            further = "; list a further column under `columns` in the signal's YAML" if root == "row" else ""
            remedy = f"{root} has: {', '.join(known) or 'nothing'}{further}"
            yield self.source.problem(where, f"unknown field {shown!r}", remedy)
        elif root == "steps" and len(path) > 2 and path[2] not in STEP_RESULT_FIELDS:
            yield self.source.problem(where, f"unknown field {shown!r}", f"a step has: {', '.join(STEP_RESULT_FIELDS)}")
        elif root == "group" and len(path) > 2 and path[1] in self.playbook.enrich:
            yield from self._path(path[1:], where, set(self.playbook.enrich), step)

    def _known_under(self, root: str, step: Step | None) -> list[str] | None:
        if root == "row":
            return list(self.columns)
        if root == "event":
            return list(EVENT_FIELDS)
        if root == "parameters":
            return list(self.playbook.parameters)
        if root == "route":
            return list(self.playbook.routes)
        if root == "steps":
            return [*step.needs, *([step.follows] if step.follows else [])] if step else []
        if root == "group":
            return ["count", *self.columns, *self.playbook.enrich]
        enrichment = self.playbook.enrich.get(root)
        if enrichment and enrichment.ledger:
            return list(LEDGER_FIELDS)
        model = self.around.models.get(enrichment.model) if enrichment and enrichment.model else None
        return list(model.columns) if model else None


def _fields_in(matcher: Any) -> list[str]:
    """The fields that a comparison's bounds name."""
    bounds = [getattr(matcher, name) for name in type(matcher).model_fields] if isinstance(matcher, Comparison) else []
    return [bound.field for bound in bounds if isinstance(bound, FieldReference)]


def _leaves(content: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(content, list | tuple):
        for index, value in enumerate(content):
            yield from _leaves(value, (*path, index))
    else:
        yield path, content
