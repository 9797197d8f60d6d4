"""Who may do what: the table of rights, owners, and four eyes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dagster_project.contracts.roles import RIGHTS, Member, Reach, Right, Role, own_hand, reach_of, refusal

OWNERS = ("team:a", "team:b", "team:c")
roles = st.frozensets(st.sampled_from(Role))
owners = st.frozensets(st.sampled_from(OWNERS))
rights = st.sampled_from(Right)
members = st.builds(Member, name=st.just("ada"), roles=roles, owners=owners)
reaches = st.builds(Reach, owners=owners, is_everything=st.booleans())


def test_the_rights_of_each_role_are_these() -> None:
    assert RIGHTS[Role.VIEWER] == {Right.VIEW}
    operates = {Right.PAUSE, Right.REPLAY, Right.DISCARD, Right.GO_SHADOW, Right.CHECK_SAMPLES}
    decides = {Right.APPROVE, Right.REJECT, Right.GO_LIVE, Right.SEE_PERSONAL_DATA, Right.CHECK_SAMPLES}
    assert RIGHTS[Role.OPERATOR] == {Right.VIEW} | operates
    assert RIGHTS[Role.APPROVER] == {Right.VIEW} | decides
    assert RIGHTS[Role.EDITOR] == {Right.VIEW, Right.EDIT_CRITERIA}
    assert RIGHTS[Role.ADMIN] == set(Right)


@given(members, rights, reaches)
def test_nobody_does_what_no_role_of_theirs_may(member: Member, right: Right, reach: Reach) -> None:
    if not any(right in RIGHTS[role] for role in member.roles):
        assert refusal(member, right, reach) is not None


@given(members, rights, reaches)
def test_a_confined_person_never_reaches_beyond_their_owners(member: Member, right: Right, reach: Reach) -> None:
    is_beyond = reach.is_everything or not reach.owners <= member.owners
    if member.is_confined and is_beyond:
        assert refusal(member, right, reach) is not None


@given(members, rights, reaches)
def test_confining_a_person_never_adds_anything(member: Member, right: Right, reach: Reach) -> None:
    free = Member(member.name, member.roles)
    if refusal(member, right, reach) is None:
        assert refusal(free, right, reach) is None
        assert member.has(right)


@given(members, rights)
def test_who_may_on_their_own_signals_may_without_saying_which(member: Member, right: Right) -> None:
    assert (refusal(member, right) is None) == (refusal(member, right, Reach(member.owners)) is None)


def test_a_signal_that_nobody_owns_is_nobody_s_alone() -> None:
    assert reach_of(["known", "gone"], {"known": "team:a"}) == Reach(frozenset({"team:a"}), is_everything=True)
    assert reach_of(["known"], {"known": "team:a"}) == Reach(frozenset({"team:a"}))
    assert reach_of([], {}) == Reach()


def test_a_refusal_says_who_could() -> None:
    viewer = Member("ada", frozenset({Role.VIEWER}))
    assert refusal(viewer, Right.APPROVE) == "ada has viewer; approve needs one of: approver, admin"
    operator = Member("ada", frozenset({Role.OPERATOR}), frozenset({"team:a"}))
    assert "confined to the signals of team:a; this is team:b's" in str(
        refusal(operator, Right.REPLAY, Reach(frozenset({"team:b"})))
    )


@given(
    st.lists(
        st.tuples(
            st.sampled_from("xyz"),
            st.sampled_from(["replayed", "proposed", "approved", "looked"]),
            st.sampled_from(["ada", "ADA", "bob", "loop"]),
        )
    )
)
def test_own_hand_is_what_one_replayed_or_proposed_oneself(deeds: list[tuple[str, str, str]]) -> None:
    own = own_hand("Ada", deeds)
    assert set(own) == {a for a, verb, who in deeds if verb in ("replayed", "proposed") and who.lower() == "ada"}
