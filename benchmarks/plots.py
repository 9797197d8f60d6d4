"""Bars as SVG that reads on a light and on a dark page, for the tables that a page of benchmarks has."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, LABELS, VALUES = 790, 310, 126
BAR, GAP, TOP, BOTTOM = 20, 8, 40, 14
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2933 }
.title { font-weight: 600; font-size: 14px }
.other { fill: #9aa5b1 }
.ours { fill: #2f6fdb }
.limit { stroke: #c2410c; stroke-width: 1.5; stroke-dasharray: 4 3 }
.limit-text { fill: #c2410c; font-size: 12px }
.ground { fill: #ffffff }
.value { paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e7eb }
  .other { fill: #616e7c }
  .ours { fill: #6ea0f5 }
  .limit { stroke: #fb923c }
  .limit-text { fill: #fb923c }
  .ground { fill: #14181d }
  .value { stroke: #14181d }
}
"""


def bar_chart(
    title: str, unit: str, bars: Sequence[tuple[str, float]], ours: Sequence[str] = (), limit: float | None = None
) -> str:
    """Horizontal bars, one below the other, each with its value.

    Parameters: what is shown; the values' unit; names with values of 0 or more; which names are this project's; a
    value to draw a line at. The scale begins at 0 and ends with the largest value.
    """
    top = max([value for _, value in bars] + [limit or 0.0]) or 1.0
    room = WIDTH - LABELS - VALUES
    height = TOP + len(bars) * (BAR + GAP) + BOTTOM + (16 if limit is not None else 0)
    body = [f'<rect class="ground" width="{WIDTH}" height="{height}"/>']
    body.append(f'<text class="title" x="12" y="22">{escape(title)}</text>')
    if limit is not None:
        body.append(_limit(LABELS + limit / top * room, height, f"target {shown(limit)} {unit}"))
    for place, (name, value) in enumerate(bars):
        body.append(_bar(name, f"{shown(value)} {unit}", value / top * room, TOP + place * (BAR + GAP), name in ours))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title)}"><style>{STYLE}</style>{"".join(body)}</svg>\n'
    )


def _bar(name: str, told: str, length: float, y: float, is_ours: bool) -> str:
    middle = y + BAR * 0.7
    return (
        f'<text x="{LABELS - 10}" y="{middle:.0f}" text-anchor="end">{escape(name)}</text>'
        f'<rect class="{"ours" if is_ours else "other"}" x="{LABELS}" y="{y}" width="{max(length, 1):.1f}" '
        f'height="{BAR}" rx="2"/>'
        f'<text class="value" x="{LABELS + max(length, 1) + 6:.1f}" y="{middle:.0f}">{escape(told)}</text>'
    )


def _limit(x: float, height: float, told: str) -> str:
    is_right = x > WIDTH / 2
    anchor, shift = ("end", -5) if is_right else ("start", 5)
    return (
        f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 8}"/>'
        f'<text class="limit-text" x="{x + shift:.1f}" y="{height - 8}" text-anchor="{anchor}">{escape(told)}</text>'
    )


def shown(value: float) -> str:
    """Three digits that say something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
