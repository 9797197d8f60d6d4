"""Delivery beside the wire, a bare client, a peer and one Dagster run a row."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from delivery_speed import BATCH, IN_FLIGHT, SAME_CLIENT, bare, ours
from peers import drt_spent, peers_python
from reporting import Plot, Report, Say, Table, Target
from run_per_row import run_per_row_spent
from sink import running_sink
from timing import Spent, Times, in_turns
from workloads import CONTACTS

OURS = "this project, claim to settled"
BARE = f"bare loop of {SAME_CLIENT}"
DRT = "drt-core, its default batches of 100"
DRT_AS_SHIPPED = "drt-core as shipped, 10 requests/s"
DRT_BEST = "drt-core, best setting"
DRT_BATCHED = "drt-core, a request a row"
RUN_PER_ROW = "one Dagster run a row"
TIME_COLUMNS = ("what", "median", "smallest to largest", "its processor time", "of the bare loop")


def delivery(
    say: Say, actions: int = 10_000, runs: int = 3, rows_as_shipped: int = 100, dagster_rows: int = 50,
    is_with_peers: bool = True,
) -> Report:  # fmt: skip
    """Actions of one request each on a sink without latency.

    Parameters: how many actions; how many times each; how many rows for drt with its own rate limit and for one run a
    row, both extrapolated to as many rows as actions; whether peers run at all.
    """
    with running_sink() as sink:
        ways: dict[str, Callable[[], Spent]] = {BARE: partial(bare, sink, actions), OURS: partial(ours, sink, actions)}
        if is_with_peers:
            ways[DRT] = partial(_drt, sink, actions, None)
            ways[DRT_BEST] = partial(_drt, sink, actions, actions)
        found = in_turns(ways, runs, say)
        found |= _extrapolated(sink, actions, rows_as_shipped if is_with_peers else 0, dagster_rows, say)
    targets = _speed_targets(found, actions) if is_with_peers else [_beside_bare(found, 1.5, f"{actions:,} actions")]
    return Report(
        tables=(_times_table(found),),
        targets=tuple(targets),
        plots=(_plot("delivery", f"{actions:,} actions, one request each", found, 1.5),),
        notes=(
            f"The body is the same for all, {IN_FLIGHT} requests in flight where a client can. Ours writes each "
            "action's rendered request, intent, outcome and audit rows durably (SQLite, WAL). Of drt-core its own "
            "duration counts, without start and imports; as shipped it paces itself to 10 requests/s, so for the other "
            "rows its limit is lifted. Its best setting here is one batch of everything; more syncs in threads were "
            f"slower, since they share one interpreter. As shipped it sent {rows_as_shipped} rows, and one Dagster run "
            "a row (a sensor with one RunRequest a row, `dagster dev` as it comes) was measured on "
            f"{dagster_rows} rows, from the first run's creation to the last one's end; both are extrapolated to "
            f"{actions:,}.",
        ),
    )


def _drt(sink: str, rows: int, batch_size: int | None, syncs: int = 1, rate: float = 0) -> Spent:
    with tempfile.TemporaryDirectory() as folder:
        return drt_spent(Path(folder), sink, rows, batch_size, syncs, rate)


def _extrapolated(sink: str, actions: int, rows_as_shipped: int, dagster_rows: int, say: Say) -> dict[str, Times]:
    """What would take too long for all of the rows, measured once on some of them."""
    found = {}
    if rows_as_shipped:
        some = in_turns({DRT_AS_SHIPPED: lambda: _drt(sink, rows_as_shipped, None, rate=10)}, 1, say)
        found[f"{DRT_AS_SHIPPED} (extrapolated)"] = some[DRT_AS_SHIPPED].scaled(actions / rows_as_shipped)
    if dagster_rows:
        # Dagster's own processes may write their last lines while `dagster dev` ends.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            some = in_turns({RUN_PER_ROW: lambda: run_per_row_spent(Path(folder), sink, dagster_rows)}, 1, say)
        found[f"{RUN_PER_ROW} (extrapolated)"] = some[RUN_PER_ROW].scaled(actions / dagster_rows)
    return found


def _speed_targets(found: dict[str, Times], actions: int) -> list[Target]:
    our_median = found[OURS].median
    what = f"{actions:,} actions"
    return [
        _beside_bare(found, 1.5, what),
        Target.at_least(f"{what}: times as fast as drt-core's default", 8, found[DRT].median / our_median),
        Target.at_least(f"{what}: times as fast as drt-core's best setting", 3, found[DRT_BEST].median / our_median),
    ]


def _beside_bare(found: dict[str, Times], limit: float, what: str) -> Target:
    ratio = found[OURS].median / found[BARE].median
    return Target.at_most(f"{what}: time of the bare loop of the same client", limit, ratio)


def _times_table(found: dict[str, Times]) -> Table:
    bare_median = found[BARE].median
    rows = tuple((name, *times.cells(), f"{times.median / bare_median:,.1f} x") for name, times in found.items())
    return Table(columns=TIME_COLUMNS, rows=rows)


def _plot(name: str, title: str, found: dict[str, Times], limit: float) -> Plot:
    """What was measured in full: bars that were extrapolated would leave nothing of the others to see."""
    measured = {what: times for what, times in found.items() if "extrapolated" not in what}
    return Plot(
        name=name,
        title=f"{title}: seconds, median",
        unit="s",
        bars=tuple((what, times.median) for what, times in measured.items()),
        ours=(OURS,),
        limit=limit * found[BARE].median,
    )


def latency(
    say: Say, actions: int = 500, seconds: float = 0.05, runs: int = 3, is_with_peers: bool = True, drt_syncs: int = 16
) -> Report:
    """Actions of one request each on a sink that takes its time.

    Parameters: how many actions; the sink's latency in seconds; how many times each; whether the peer runs; over how
    many syncs, a thread each, drt-core's best setting spreads the rows.
    """
    wire = Times((Spent(actions / IN_FLIGHT * seconds),))
    with running_sink(seconds) as sink:
        ways: dict[str, Callable[[], Spent]] = {BARE: partial(bare, sink, actions), OURS: partial(ours, sink, actions)}
        if is_with_peers:
            ways[DRT] = partial(_drt, sink, actions, None)
            ways[DRT_BEST] = partial(_drt, sink, actions, actions, drt_syncs)
        found = in_turns(ways, runs, say)
    what = f"{actions:,} actions at {seconds * 1000:.0f} ms"
    wire_name = f"the wire, {IN_FLIGHT} in flight (computed)"
    targets = [Target.at_most(f"{what}: time of the wire", 1.4, found[OURS].median / wire.median)]
    if is_with_peers:
        ratio = found[DRT].median / found[OURS].median
        targets.append(Target.at_least(f"{what}: times as fast as drt-core's default", 20, ratio))
    return Report(
        tables=(_times_table({wire_name: wire, **found}),),
        targets=tuple(targets),
        plots=(_plot("latency", what, {wire_name: wire, **found}, 1.4 * wire.median / found[BARE].median),),
        notes=(
            f"The wire is {actions:,} / {IN_FLIGHT} rounds of {seconds * 1000:.0f} ms. "
            f"drt-core's best setting spreads the rows over {drt_syncs} syncs in as many threads.",
        ),
    )


def batch(say: Say, actions: int = 100_000, runs: int = 2, peer_rows: int = 10_000) -> Report:
    """Actions at a batch endpoint that takes a hundred: contacts upserted at HubSpot's, as the sink answers it.

    Parameters: how many actions; how many times each; how many rows for drt-core, extrapolated to as many as actions,
    0 for none.
    """
    with running_sink() as sink:
        ways: dict[str, Callable[[], Spent]] = {
            BARE: partial(bare, sink, actions, is_batched=True),
            OURS: partial(ours, sink, actions, CONTACTS),
        }
        found = in_turns(ways, runs, say)
        if peer_rows:
            some = in_turns({DRT_BATCHED: partial(_drt, sink, peer_rows, None)}, 1, say)
            found[f"{DRT_BATCHED} (extrapolated)"] = some[DRT_BATCHED].scaled(actions / peer_rows)
    what = f"{actions:,} actions, {BATCH} a request"
    per_action = found[OURS].median / actions * 1000
    return Report(
        tables=(_times_table(found),),
        targets=(_beside_bare(found, 1.5, what),),
        plots=(_plot("batch", what, found, 1.5),),
        notes=(
            f"Ours spends {per_action:.2f} ms on each action, durable rows included; the bare loop, which encodes "
            "bodies and parses replies and keeps nothing, makes one request for a hundred of them. drt-core writes "
            "contacts of HubSpot one request a row, 9 a second as shipped; here its limit is lifted, and the requests "
            f"are the other cases' at the sink, {peer_rows:,} of them.",
        ),
    )


def clients(say: Say, calls: int = 2_000, runs: int = 3, is_with_peers: bool = True) -> Report:
    """HTTP clients that could carry the connectors, each in a bare loop.

    Parameters: how many calls; how many times each; whether those are measured that only the peers' environment has.
    """
    with running_sink() as sink:
        names = [SAME_CLIENT, "aiohttp+uvloop", "urllib3", "requests"]
        ways: dict[str, Callable[[], Spent]] = {name: partial(bare, sink, calls, name) for name in names}
        if is_with_peers:
            python = str(peers_python())
            ways |= {name: partial(bare, sink, calls, name, python=python) for name in ("httpx", "pyreqwest")}
        found = in_turns(ways, runs, say)
    rows = tuple(
        (name, f"{calls / times.median:,.0f}", f"{(times.cpu_median or 0.0) / calls * 1000:.2f} ms")
        for name, times in found.items()
    )
    return Report(
        tables=(Table(columns=("client", "calls/s", "processor time a call"), rows=rows),),
        plots=(
            Plot(
                name="clients",
                title=f"Calls a second, {IN_FLIGHT} in flight, no latency",
                unit="calls/s",
                bars=tuple((name, calls / times.median) for name, times in found.items()),
                ours=(SAME_CLIENT,),
            ),
        ),
        notes=("urllib3 and requests run in 32 threads, the others in one event loop.",),
    )
