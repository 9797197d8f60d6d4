"""How statuses, proofs, stories and landings look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dagster_project.contracts.catalog import Catalog
from dagster_project.contracts.durations import span
from dagster_project.contracts.vocabulary import Kind
from dagster_project.land.report import LandingReport
from dagster_project.respond.bindings import bind_roles, roles_used
from dagster_project.settings import Settings
from dagster_project.verify.conservation import Proof
from dagster_project.verify.explain import Line
from dagster_project.verify.status import LoopStatus, SignalStatus

STATES = ("delivered", "waiting", "held", "dead", "suppressed")
SIGNALS_A_TABLE = 4
STYLES = {"delivered": "green", "waiting": "cyan", "held": "yellow", "dead": "red", "suppressed": "dim"}


def print_funnel(console: Console, status: LoopStatus) -> None:
    """The way from flagged rows to finished work, a column each signal; then every reason with its count."""
    signals = list(status.signals)
    for start in range(0, len(signals), SIGNALS_A_TABLE):
        console.print(_funnel(signals[start : start + SIGNALS_A_TABLE]))
    for signal in signals:
        _print_reasons(console, signal)
    _print_troubles(console, status)


def _funnel(signals: Sequence[SignalStatus]) -> Table:
    table = Table(title="From flagged to finished", title_justify="left")
    table.add_column("")
    for signal in signals:
        table.add_column(f"{signal.signal}\n{signal.mode}, {signal.owner}", justify="right")
    table.add_row("flagged now", *("-" if s.flagged is None else str(s.flagged) for s in signals))
    for kind in Kind:
        table.add_row(f"{kind} events", *(str(s.events.get(kind, 0)) for s in signals))
    table.add_row("not acted on", *(str(sum(s.unplanned.values())) for s in signals), end_section=True)
    table.add_row("actions", *(str(sum(s.actions.values())) for s in signals))
    for state in STATES:
        table.add_row(f"  {state}", *(str(s.actions.get(state, 0)) for s in signals), style=STYLES[state])
    table.add_section()
    table.add_row("oldest waiting", *(span(s.oldest_waiting) for s in signals))
    table.add_row("p50 to done", *(span(s.p50_seconds) for s in signals))
    table.add_row("p95 to done", *(span(s.p95_seconds) for s in signals))
    table.add_row("in time", *(_in_time(s) for s in signals))
    return table


def _in_time(signal: SignalStatus) -> Text:
    return Text(f"{signal.share_in_time:.0%}", style="green" if signal.is_sla_kept else "bold red")


def _print_reasons(console: Console, signal: SignalStatus) -> None:
    parts = [f"{count} events not acted on: {reason}" for reason, count in signal.unplanned.items()]
    for state in STATES:
        parts += [f"{count} {state}: {reason}" for reason, count in signal.reasons.get(state, {}).items()]
    if parts:
        console.print(Text(f"{signal.signal}: " + "; ".join(parts)))


def _print_troubles(console: Console, status: LoopStatus) -> None:
    for signal in status.signals:
        if signal.held_builds:
            console.print(Text(f"{signal.signal}: {signal.held_builds}", style="bold red"), soft_wrap=True)
    for name, problems in status.quarantined.items():
        console.print(Text(f"quarantined: {name}", style="bold red"))
        for problem in problems:
            console.print(Text(f"  {problem}"), soft_wrap=True)
    for subject, why in status.paused.items():
        console.print(Text(f"paused: {subject} {why}", style="yellow"))
    for destination in status.blocked:
        if f"destination:{destination}" not in status.paused:
            console.print(
                Text(f"takes nothing now: {destination} (its circuit is open or it asked to wait)", style="yellow")
            )


def binding_lines(settings: Settings, catalog: Catalog) -> list[str]:
    """Where each role goes that a playbook uses, and whether that is outside of this machine's sandbox."""
    bindings = bind_roles(settings)
    used = [bindings[role] for role in sorted(roles_used(catalog)) if role in bindings]
    return [
        f"{one.role} goes to {one.connector.name}, {'the sandbox' if one.is_sandbox else 'the REAL one'}"
        for one in used
    ]


def print_proofs(console: Console, proofs: Sequence[Proof]) -> None:
    for proof in proofs:
        verdict = Text("holds ", style="green") if proof.holds else Text("BROKEN", style="bold red")
        console.print(verdict, Text(f"{proof.law} ({proof.checked} checked, {proof.broken} broken)"))
        for example in proof.examples:
            console.print(Text(f"       {example}"))


def print_story(console: Console, lines: Sequence[Line]) -> None:
    for line in lines:
        text = Text("  " * line.depth + f"{line.at:%Y-%m-%d %H:%M:%S}  {line.text}")
        console.print(text, style="bold" if line.depth == 0 else "", soft_wrap=True)


def print_landing(console: Console, report: LandingReport) -> None:
    table = Table(title=f"Landed, data as of {report.as_of:%Y-%m-%d %H:%M} UTC", title_justify="left")
    for name in ("table", "from", "rows read", "rows"):
        table.add_column(name, justify="right" if name.startswith("rows") else "left")
    for landed in report.tables:
        table.add_row(landed.table, landed.origin, str(landed.rows_read), str(landed.rows))
    console.print(table)
    for landed in report.tables:
        if landed.ignored_columns:
            console.print(Text(f"{landed.table}: columns not carried: {', '.join(landed.ignored_columns)}"))
