"""Writes the page on all signals: who is flagged, who owns it, and what is changed outside because of it."""

from __future__ import annotations

from collections.abc import Iterator

from dagster_project.contracts.catalog import Catalog, CatalogSignal
from dagster_project.contracts.playbook import Step
from dagster_project.contracts.signal import Duration, Patience


def catalogue_page(catalog: Catalog) -> str:
    """The page as Markdown; equal catalogs give equal pages."""
    lines = [
        "# Signals",
        "",
        "Made from the signals' own files by `loopctl validate --catalogue docs/catalogue.md`.",
        "",
    ]
    for signal in sorted(catalog.signals.values(), key=lambda one: one.name):
        lines += [*_signal(signal), ""]
    return "\n".join(lines).rstrip() + "\n"


def _signal(signal: CatalogSignal) -> Iterator[str]:
    spec = signal.spec
    yield f"## {signal.name}"
    yield ""
    yield signal.description
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| entity, owner | {spec.entity}, {spec.owner} |"
    yield f"| files | `{signal.sql_file}`, `{signal.yml_file}` |"
    yield f"| lifecycle, declared mode | {spec.lifecycle}, {spec.mode} |"
    yield f"| SLA | data {_told(spec.fresh_within)} old at most, acted on within {_told(spec.act_within)} |"
    yield f"| patience | opens {_patience(spec.open_after)}, resolves {_patience(spec.resolve_after)} |"
    guards = ", ".join(
        f"{kind}: {guard.count}" + (f" or {guard.share:.0%} of {spec.population}" if guard.share else "")
        for kind, guard in spec.guards.items()
    )
    yield f"| guards | {guards or '500 of each kind'} |"
    yield f"| classification | {', '.join(spec.classification) or 'none'} |"
    yield f"| personal data | {', '.join(sorted(signal.pii_columns)) or 'none'} |"
    yield ""
    yield f"Playbook `{signal.version.playbook.name}`: {signal.version.playbook.description}"
    yield ""
    yield "| on | step | does | reaches |"
    yield "|---|---|---|---|"
    for step in signal.version.playbook.steps:
        yield _step(step)


def _step(step: Step) -> str:
    reach = "our own people" if step.is_internal else "the contact"
    group = f", one for each {step.group_by}" if step.group_by else ""
    return (
        f"| {', '.join(step.on)} | {step.name} | {step.operation} ({step.role}{group}). {step.description} | {reach} |"
    )


def _told(span: Duration) -> str:
    parts = ((span.days, "d"), (span.hours, "h"), (span.minutes, "min"))
    return " ".join(f"{value:g} {unit}" for value, unit in parts if value)


def _patience(patience: Patience | None) -> str:
    if patience is None:
        return "at once"
    parts = [f"{patience.builds} builds"] if patience.builds > 1 else []
    spans = ((patience.days, "d"), (patience.hours, "h"), (patience.minutes, "min"))
    parts += [f"{value:g} {unit}" for value, unit in spans if value]
    return "after " + " and ".join(parts) if parts else "at once"
