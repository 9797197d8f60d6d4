"""Plots and graphs say what the numbers say."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from unit.contracts.prepared_project import prepared_project

from dagster_project.console.plots import HEIGHT, TOP, Bar, Point, gauge, nice_top, percentile_lines, stacked_bars
from dagster_project.console.rendering import linked, local_address
from dagster_project.console.step_graph import columns_of, draw_steps, places_of
from dagster_project.console.wording import MASK, masked_request

sizes = st.dictionaries(st.sampled_from(["delivered", "held", "dead"]), st.integers(0, 10**7))


@given(st.floats(1e-6, 1e12))
def test_an_axis_reaches_its_highest_value_and_not_far_beyond(highest: float) -> None:
    assert highest * 0.999 <= nice_top(highest) <= highest * 2.6


@given(st.lists(st.builds(Bar, st.text(max_size=9), st.text(max_size=9), sizes), max_size=40), st.text(max_size=20))
def test_bars_are_drawn_to_scale_and_inside(bars: list[Bar], told: str) -> None:
    drawn = stacked_bars(bars, re.sub(r"[\x00-\x1f\ufffe\uffff]", "", told))
    heights = [float(h) for h in re.findall(r'class="part-\w+" [^>]* height="([\d.]+)"', drawn)]
    assert len(heights) == sum(1 for bar in bars for size in bar.parts.values() if size)
    assert all(float(y) >= TOP - 4 for y in re.findall(r'class="part-\w+" [^>]* y="([\d.]+)"', drawn))
    assert all(height <= HEIGHT for height in heights)


def test_what_is_drawn_is_svg_that_says_what_it_shows() -> None:
    points = [Point("1 Nov", 1.0, 2.0), Point("2 Nov", None, None), Point("3 Nov", 3.0, 9.0)]
    for drawn in (
        percentile_lines(points, 4, "h", "times <&> limits"),
        stacked_bars([Bar("a<", 'b"', {"dead": 3})], "bars"),
        gauge(5, 4, "too old"),
        draw_steps(next(iter(prepared_project().catalog.signals.values())).version.playbook, {}),
    ):
        assert ElementTree.fromstring(str(drawn)).attrib["aria-label"]
    assert (
        "gauge-over" in gauge(5, 4, "") and "gauge-within" in gauge(1, 4, "") and "gauge-within" in gauge(None, 4, "")
    )


def test_no_step_stands_before_what_it_needs_or_on_another() -> None:
    for signal in prepared_project().catalog.signals.values():
        playbook = signal.version.playbook
        columns, places = columns_of(playbook), places_of(columns_of(playbook))
        assert set(places) == {step.name for step in playbook.steps}
        assert len(set(places.values())) == len(places)
        for step in playbook.steps:
            assert all(columns[need] < columns[step.name] for need in step.needs)


@given(st.text(max_size=60))
def test_linking_changes_no_word(text: str) -> None:
    shown = linked(text, {"run-1": "http://x", "run-12": "http://y"})
    assert "<script" not in shown
    assert re.sub(r"</?a[^>]*>", "", str(shown)) == str(linked(text, {}))


@given(st.recursive(st.none() | st.text(min_size=1) | st.integers(), lambda inner: st.lists(inner)
                    | st.dictionaries(st.text(max_size=3), inner), max_leaves=9))  # fmt: skip
def test_a_masked_request_shows_no_value(value: object) -> None:
    import json

    def leaves(of: object) -> list[object]:
        if isinstance(of, dict):
            return [leaf for inner in of.values() for leaf in leaves(inner)]
        return [leaf for inner in of for leaf in leaves(inner)] if isinstance(of, list) else [of]

    assert set(leaves(json.loads(masked_request(json.dumps(value))))) <= {MASK, None}


@given(st.text(max_size=30))
def test_only_this_console_s_own_addresses_are_followed(wanted: str) -> None:
    found = local_address(wanted)
    assert found.startswith("/") and not found.startswith(("//", "/\\")) and not re.search(r"\s", found)
