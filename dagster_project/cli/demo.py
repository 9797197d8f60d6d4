"""Two days of the generated company through the whole loop against the sandbox, from nothing to the funnel."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.text import Text

from dagster_project.cli.auditing import told_of
from dagster_project.cli.printing import print_funnel, print_proofs
from dagster_project.cli.sandbox_alerts import sandbox_alerts
from dagster_project.cli.ticking import act_on_all, build_signals, dagster_instance, detect_all
from dagster_project.land.generator import GeneratedCompany, generate
from dagster_project.prepare import prepare_if_stale
from dagster_project.runtime import surroundings_for
from dagster_project.sandbox.server import SandboxServer
from dagster_project.settings import Settings, settings
from dagster_project.verify.alert_delivery import watch
from dagster_project.verify.conservation import prove
from dagster_project.verify.guarded import read_guarded
from dagster_project.verify.status import read_status


@contextmanager
def running_sandbox(state_dir: Path) -> Iterator[SandboxServer]:
    """The sandbox on its usual ports where they are free, else on others; the settings of this process point at it."""
    data = state_dir / "sandbox"
    data.mkdir(parents=True, exist_ok=True)
    port, smtp_port = (
        port if _is_free(port) else 0 for port in (settings().sandbox_port, settings().sandbox_smtp_port)
    )
    with SandboxServer(data, port=port, smtp_port=smtp_port) as server:
        address = server.address
        os.environ["LOOP_SANDBOX_PORT"] = address.http_url.rpartition(":")[2]
        os.environ["LOOP_SANDBOX_SMTP_PORT"] = str(address.smtp_port)
        os.environ.update(sandbox_alerts(settings()))
        settings.cache_clear()
        yield server


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def run_demo(console: Console, customers: int, seed: int) -> bool:
    """Plays day 1 and day 2 in a state of its own, made anew. Returns whether every count adds up."""
    state_dir = settings().state_dir / "demo"
    shutil.rmtree(state_dir, ignore_errors=True)
    os.environ["LOOP_STATE_DIR"] = str(state_dir)
    settings.cache_clear()
    started_at = time.monotonic()
    with running_sandbox(state_dir) as server:
        chosen = settings()
        now = datetime.now(UTC)
        for day, as_of in ((1, now - timedelta(days=1)), (2, now)):
            _play_day(console, chosen, GeneratedCompany(seed=seed, customers=customers, day=day, as_of=as_of))
        is_proven = _show_end(console, chosen, server)
    console.print(Text(f"\nThe demo took {time.monotonic() - started_at:.0f} s."))
    _where_to_look(console, state_dir)
    return is_proven


def _play_day(console: Console, chosen: Settings, company: GeneratedCompany) -> None:
    console.rule(f"Day {company.day}", align="left")

    def say(text: str) -> None:
        console.print(Text(f"  {text}"))

    with console.status("landing the company's data"):
        report = generate(chosen.warehouse_target, company)
    say(f"landed {sum(table.rows for table in report.tables)} rows in {len(report.tables)} tables")
    with console.status("compiling the catalog"):
        catalog = prepare_if_stale(chosen)
    with console.status("dbt build: models, event capture, tests, release"):
        built = build_signals(chosen)
    say(f"dbt build: {built}")
    around = surroundings_for(chosen, catalog)
    console.print(Text("  detect", style="bold"))
    detect_all(around, say)
    console.print(Text("  act", style="bold"))
    with dagster_instance(chosen) as instance:
        for note in act_on_all(around, instance, say).notes:
            say(note)
    for line in told_of(watch(around)):
        say(line)
    around.database.close()


def _show_end(console: Console, chosen: Settings, server: SandboxServer) -> bool:
    console.rule("What came of it", align="left")
    around = surroundings_for(chosen, prepare_if_stale(chosen))
    with around.database.reading() as connection:
        print_funnel(console, read_status(connection, around.catalog, around.database.now()))
        proofs = prove(connection)
    console.print(Text("\nwhat the guards did", style="bold"))
    for line in read_guarded(around.database):
        console.print(Text(f"  {line}"))
    effects: dict[str, int] = {}
    for effect in server.effects():
        effects[effect.vendor] = effects.get(effect.vendor, 0) + 1
    console.print(Text("\neffects in the sandbox: " + ", ".join(f"{n} {v}" for v, n in sorted(effects.items()))))
    print_proofs(console, proofs)
    around.database.close()
    return all(proof.holds for proof in proofs)


def _where_to_look(console: Console, state_dir: Path) -> None:
    shown = os.path.relpath(state_dir)
    console.print(Text("\nWhere to look next", style="bold"))
    for command, what in (
        (f"loopctl --state {shown} status --prove", "the funnel again, recounted from the rows up"),
        (f"loopctl --state {shown} explain <entity>", "the whole story of one customer, product or deal"),
        (f"loopctl --state {shown} held", "what waits for a person, with exactly what would be sent"),
        (f"loopctl --state {shown} dev", "Dagster's pages and the sandbox's CRM, ERP, chat and mail in a browser"),
    ):
        console.print(Text(f"  {command:<58} {what}"))
