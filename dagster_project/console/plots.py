"""Draws the pages' plots as SVG on the server; colours come from the style sheet, so that light and dark both hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 640
HEIGHT = 150
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 10, 22


@dataclass(frozen=True)
class Bar:
    """One bar: what stands under it, what a pointer is told, and its parts from the bottom up (style class -> size)."""

    label: str
    title: str
    parts: Mapping[str, int]


@dataclass(frozen=True)
class Point:
    label: str
    middle: float | None
    high: float | None


def stacked_bars(bars: Sequence[Bar], told: str) -> Markup:
    """Bars over time. Parameters: the bars, oldest first; what the plot shows, for people who do not see it."""
    top = nice_top(max((sum(bar.parts.values()) for bar in bars), default=0))
    body = [_axis(top, f"{top:,.0f}")]
    slot = (WIDTH - LEFT - RIGHT) / max(len(bars), 12)
    for index, bar in enumerate(bars):
        body.append(_bar(bar, LEFT + index * slot, slot, top))
    body += _first_and_last([bar.label for bar in bars], slot)
    return _svg(body, told)


def _bar(bar: Bar, left: float, slot: float, top: float) -> str:
    room, parts, bottom = HEIGHT - TOP - BOTTOM, [], float(HEIGHT - BOTTOM)
    for name, size in bar.parts.items():
        height = room * size / top
        if size:
            height = max(height, 1.0)
            bottom -= height
            parts.append(
                f'<rect class="part-{escape(name)}" x="{left + slot * 0.12:.1f}" y="{bottom:.1f}" '
                f'width="{slot * 0.76:.1f}" height="{height:.1f}"/>'
            )
    return f"<g><title>{escape(bar.title)}</title>{''.join(parts)}</g>"


def percentile_lines(points: Sequence[Point], limit: float, unit: str, told: str) -> Markup:
    """p50 and p95 over time against a limit. Parameters: the points, oldest first, in the unit; the limit; the unit."""
    highest = max([limit, *(point.high or 0 for point in points)], default=limit)
    top = nice_top(highest * 1.05)
    slot = (WIDTH - LEFT - RIGHT) / max(len(points), 12)
    body = [_axis(top, f"{top:g} {unit}"), _limit(limit, top, f"promised {limit:g} {unit}")]
    for name in ("middle", "high"):
        dots = [
            (LEFT + (index + 0.5) * slot, _height_of(value, top))
            for index, point in enumerate(points)
            if (value := getattr(point, name)) is not None
        ]
        body.append(_line(dots, name))
    body += _first_and_last([point.label for point in points], slot)
    return _svg(body, told)


def _line(dots: Sequence[tuple[float, float]], name: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    circles = "".join(f'<circle class="dot-{name}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in dots)
    return f'<polyline class="line-{name}" points="{path}"/>{circles}'


def _limit(limit: float, top: float, text: str) -> str:
    y = _height_of(limit, top)
    return (
        f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="limit-text" x="{WIDTH - RIGHT}" y="{y - 4 if y > TOP + 12 else y + 12:.1f}" '
        f'text-anchor="end">{escape(text)}</text>'
    )


def gauge(value: float | None, limit: float, told: str) -> Markup:
    """How much of a limit is used up; full and red beyond it."""
    share = 0.0 if value is None else max(0.0, value / limit)
    name = "over" if share > 1 else "near" if share > 0.8 else "within"
    return Markup(
        f'<svg class="gauge" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{escape(told)}">'
        f'<rect class="gauge-ground" width="100" height="6" rx="3"/>'
        f'<rect class="gauge-{name}" width="{min(share, 1) * 100:.1f}" height="6" rx="3"/></svg>'
    )


def nice_top(highest: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is not below; 1 for nothing."""
    if highest <= 0:
        return 1.0
    power = 1.0
    while power * 10 <= highest:
        power *= 10
    while power > highest:
        power /= 10
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= highest * 0.999999)


def _height_of(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(value / top, 1.0)


def _axis(top: float, told: str) -> str:
    lines = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        for y in (_height_of(top * part, top) for part in (0, 0.5, 1))
    )
    return (
        f'{lines}<text x="{LEFT - 6}" y="{TOP + 4}" text-anchor="end">{escape(told)}</text>'
        f'<text x="{LEFT - 6}" y="{HEIGHT - BOTTOM + 3}" text-anchor="end">0</text>'
    )


def _first_and_last(labels: Sequence[str], slot: float) -> list[str]:
    if not labels:
        return [f'<text x="{WIDTH / 2:.0f}" y="{HEIGHT / 2:.0f}" text-anchor="middle">nothing yet</text>']
    y = HEIGHT - 6
    texts = [f'<text x="{LEFT}" y="{y}">{escape(labels[0])}</text>']
    if len(labels) > 3:
        x = LEFT + len(labels) * slot
        texts.append(f'<text x="{x:.0f}" y="{y}" text-anchor="end">{escape(labels[-1])}</text>')
    return texts


def _svg(body: Sequence[str], told: str) -> Markup:
    return Markup(
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">{"".join(body)}</svg>'
    )
