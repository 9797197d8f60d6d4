"""For any lane: order is kept, nothing that may go is kept back, and deciding twice decides nothing new."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dagster_project.contracts.vocabulary import ActionState
from dagster_project.ledger.lanes import NEED_DEAD, LaneAction, LaneDecision, decide_lane

STEPS = ("s0", "s1", "s2", "s3")
Delivered = Set[tuple[int, str]]


@st.composite
def events(draw: st.DrawFn, number: int) -> list[LaneAction]:
    """One event's actions in any states, whether or not the ledger could have come to them."""
    chosen = draw(st.lists(st.sampled_from(STEPS), min_size=1, unique=True).map(sorted))
    made = []
    for index, name in enumerate(chosen):
        state = draw(st.sampled_from(ActionState))
        made.append(
            LaneAction(
                action_id=f"{number}-{name}",
                event_id=f"event-{number}",
                build_no=number,
                episode=draw(st.integers(1, 2)),
                step=name,
                step_index=index,
                state=state,
                needs=tuple(draw(st.lists(st.sampled_from(STEPS[:index] or ("none",)), unique=True, max_size=2))),
                follows=draw(st.none() | st.sampled_from(STEPS)),
                is_ready=state is ActionState.WAITING and draw(st.booleans()),
                reason=draw(st.sampled_from(("", NEED_DEAD))) if state is ActionState.WAITING else "because",
            )
        )
    return made


@st.composite
def lanes(draw: st.DrawFn) -> list[LaneAction]:
    count = draw(st.integers(1, 4))
    made = [action for number in range(count) for action in draw(events(number))]
    return draw(st.permutations(made))


delivered_pairs = st.frozensets(st.tuples(st.integers(1, 2), st.sampled_from(STEPS)))


def applied(actions: list[LaneAction], decision: LaneDecision) -> list[LaneAction]:
    """The lane as the ledger stores it after the decision."""
    return [_applied_to(action, decision) for action in actions]


def _applied_to(action: LaneAction, decision: LaneDecision) -> LaneAction:
    if action.action_id in decision.suppressed:
        reason = decision.suppressed[action.action_id][0]
        return replace(action, state=ActionState.SUPPRESSED, reason=reason, is_ready=False)
    is_ready = action.action_id in decision.now_ready or (
        action.is_ready and action.action_id not in decision.no_longer_ready
    )
    is_stuck = action.action_id in decision.now_stuck or (
        action.reason == NEED_DEAD and action.action_id not in decision.no_longer_stuck
    )
    reason = NEED_DEAD if is_stuck else "" if action.reason == NEED_DEAD else action.reason
    return replace(action, is_ready=is_ready, reason=reason)


def open_before(action: LaneAction, lane: list[LaneAction]) -> list[LaneAction]:
    """What keeps an action back: work of earlier events that is held, or waiting for more than a dead step."""
    return [
        other
        for other in lane
        if other.build_no < action.build_no
        and (other.state is ActionState.HELD or (other.state is ActionState.WAITING and other.reason != NEED_DEAD))
    ]


def needed(action: LaneAction, lane: list[LaneAction]) -> list[LaneAction | None]:
    """The needed actions of the same event; None for one that was never planned."""
    mine = {other.step: other for other in lane if other.event_id == action.event_id}
    return [mine.get(name) for name in action.needs]


@given(lanes(), delivered_pairs)
def test_nothing_of_a_later_event_goes_before_an_earlier_one_is_done(lane: list[LaneAction], pairs: Delivered) -> None:
    after = applied(lane, decide_lane(lane, pairs))

    for action in after:
        if action.is_ready:
            assert open_before(action, after) == []


@given(lanes(), delivered_pairs)
def test_what_goes_has_all_it_needs_and_follows(lane: list[LaneAction], pairs: Delivered) -> None:
    for action in (after := applied(lane, decide_lane(lane, pairs))):
        if action.is_ready:
            assert action.state is ActionState.WAITING
            assert all(need and need.state is ActionState.DELIVERED for need in needed(action, after))
            assert action.follows is None or (action.episode, action.follows) in pairs


@given(lanes(), delivered_pairs)
def test_what_is_kept_back_has_a_cause(lane: list[LaneAction], pairs: Delivered) -> None:
    for action in (after := applied(lane, decide_lane(lane, pairs))):
        if action.state is ActionState.WAITING and not action.is_ready:
            unmet = [n for n in needed(action, after) if n is None or n.state is not ActionState.DELIVERED]
            assert unmet or open_before(action, after)


@given(lanes(), delivered_pairs)
def test_what_waits_for_a_dead_step_says_so_and_nothing_else_does(lane: list[LaneAction], pairs: Delivered) -> None:
    for action in (after := applied(lane, decide_lane(lane, pairs))):
        if action.state is ActionState.WAITING:
            waits_for_dead = any(
                need and (need.state is ActionState.DEAD or need.reason == NEED_DEAD) for need in needed(action, after)
            )
            assert (action.reason == NEED_DEAD) == waits_for_dead


@given(lanes(), delivered_pairs)
def test_only_what_can_never_go_is_suppressed_and_only_in_its_turn(lane: list[LaneAction], pairs: Delivered) -> None:
    decision = decide_lane(lane, pairs)
    after = applied(lane, decision)

    for action in lane:
        if action.action_id in decision.suppressed:
            needs_gone = any(n is None or n.state is ActionState.SUPPRESSED for n in needed(action, after))
            follow_gone = action.follows is not None and (action.episode, action.follows) not in pairs
            assert action.state is ActionState.WAITING
            assert needs_gone or follow_gone
            assert open_before(action, after) == []


@given(lanes(), delivered_pairs)
def test_deciding_again_decides_nothing_new(lane: list[LaneAction], pairs: Delivered) -> None:
    after = applied(lane, decide_lane(lane, pairs))

    assert decide_lane(after, pairs) == LaneDecision()


@given(lanes(), delivered_pairs, st.randoms())
def test_the_order_in_which_rows_are_read_does_not_matter(
    lane: list[LaneAction], pairs: Delivered, random: object
) -> None:
    shuffled = list(lane)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert decide_lane(shuffled, pairs) == decide_lane(lane, pairs)
