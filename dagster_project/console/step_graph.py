"""Draws a playbook's steps as a graph: a box each, in the order of what they need, with the operation it calls."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup, escape

from dagster_project.contracts.playbook import Playbook, Step

BOX_WIDTH, BOX_HEIGHT = 210, 62
GAP_X, GAP_Y, EDGE = 56, 18, 10
LONGEST_TEXT = 30


def columns_of(playbook: Playbook) -> dict[str, int]:
    """For each step, the length of the longest way to it: how many steps stand before it, one after another."""
    columns: dict[str, int] = {}
    for step in playbook.steps:  # needs point to earlier steps only
        before = [*step.needs, *([step.follows] if step.follows else [])]
        columns[step.name] = max((columns[name] + 1 for name in before if name in columns), default=0)
    return columns


def places_of(columns: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """The upper left corner of each step's box."""
    rows: dict[int, int] = {}
    places: dict[str, tuple[float, float]] = {}
    for name, column in columns.items():
        row = rows.get(column, 0)
        rows[column] = row + 1
        places[name] = (EDGE + column * (BOX_WIDTH + GAP_X), EDGE + row * (BOX_HEIGHT + GAP_Y))
    return places


def draw_steps(playbook: Playbook, bindings: Mapping[str, str]) -> Markup:
    """The graph as SVG. Parameters: the playbook; which destination answers for each role."""
    places = places_of(columns_of(playbook))
    width = max(x for x, _ in places.values()) + BOX_WIDTH + EDGE
    height = max(y for _, y in places.values()) + BOX_HEIGHT + EDGE
    edges = [_edge(places[need], places[step.name], "needs") for step in playbook.steps for need in step.needs]
    edges += [
        _edge(places[step.follows], places[step.name], "follows") for step in playbook.steps if step.follows is not None
    ]
    boxes = [_box(step, places[step.name], bindings.get(step.role, step.role)) for step in playbook.steps]
    return Markup(
        f'<svg class="graph" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label="{escape(in_words(playbook))}">'
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path class="arrow" d="M0,0 L8,4 L0,8 z"/></marker></defs>'
        f"{''.join([*edges, *boxes])}</svg>"
    )


def in_words(playbook: Playbook) -> str:
    """The graph for people who do not see it."""
    told = []
    for step in playbook.steps:
        after = f" after {', '.join(step.needs)}" if step.needs else ""
        follows = f", continues {step.follows}" if step.follows else ""
        told.append(f"{step.name}: {step.operation} at {step.role} on {', '.join(step.on)}{after}{follows}")
    return "; ".join(told)


def _edge(start: tuple[float, float], end: tuple[float, float], name: str) -> str:
    x1, y1 = start[0] + BOX_WIDTH, start[1] + BOX_HEIGHT / 2
    x2, y2 = end[0], end[1] + BOX_HEIGHT / 2
    bend = max((x2 - x1) / 2, 20)
    return (
        f'<path class="edge-{name}" marker-end="url(#arrow)" '
        f'd="M{x1:.0f},{y1:.0f} C{x1 + bend:.0f},{y1:.0f} {x2 - bend:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"/>'
    )


def _box(step: Step, place: tuple[float, float], destination: str) -> str:
    x, y = place
    name = "box" if step.is_required else "box box-optional"
    lines = ((step.name, 20, "box-name"), (f"{step.operation} at {destination}", 37, ""), (_on(step), 53, "box-soft"))
    texts = "".join(
        f'<text class="{style}" x="{x + 12:.0f}" y="{y + down:.0f}">{escape(_short(text))}</text>'
        for text, down, style in lines
    )
    rectangle = f'<rect class="{name}" x="{x:.0f}" y="{y:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8"/>'
    return f"<g><title>{escape(step.description or step.name)}</title>{rectangle}{texts}</g>"


def _on(step: Step) -> str:
    marks = [", ".join(step.on)]
    marks += [f"one for each {step.group_by}"] if step.group_by else []
    marks += ["may be held"] if step.hold_when else []
    return " · ".join(marks)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
