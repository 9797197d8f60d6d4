"""On day 2 the effects at the sink are exactly what day 2's builds call for, derived here from the warehouse alone."""

from __future__ import annotations

from loop_driver import Loop, PlayedDays, WarehouseEvent, action_key, events_of_day, group_key

PURCHASE_APPROVAL_ABOVE = 5000


def test_the_first_build_is_a_baseline_and_is_not_acted_upon(two_days: PlayedDays) -> None:
    assert two_days.effects_after_day_1 == 0
    for signal in two_days.loop.status()["signals"]:
        assert signal["unplanned"]["baseline"] > 0, signal["signal"]


def test_effects_of_day_2_are_exactly_those_of_its_builds(two_days: PlayedDays) -> None:
    events = events_of_day(two_days.loop, build_no=2)
    kinds = {(event.signal, event.kind) for event in events}
    assert {("customer_churn_risk", kind) for kind in ("opened", "escalated", "resolved")} <= kinds
    assert {("product_low_stock", "opened"), ("deal_won", "opened")} <= kinds
    wanted = _keys_wanted(two_days.loop, events)
    assert _keys_found(two_days) == wanted
    assert len(_keys_found_list(two_days)) == len(wanted), "some key had its effect twice"


def test_campaign_members_are_the_newly_flagged_who_may_be_contacted(two_days: PlayedDays) -> None:
    wanted = {event.entity_id for event in _openings(two_days.loop, "customer_churn_risk")} - _unreachable(
        two_days.loop
    )
    added = [e.entity for e in two_days.effects_after_day_2 if e.operation == "lists.add"]
    assert sorted(added) == sorted(wanted)
    assert _unreachable(two_days.loop) & {e.entity_id for e in _openings(two_days.loop, "customer_churn_risk")}


def test_purchase_orders_above_the_threshold_are_held(two_days: PlayedDays) -> None:
    large = {key for key, value in _order_values(two_days.loop).items() if value > PURCHASE_APPROVAL_ABOVE}
    assert large, "day 2 should have an order above the threshold"
    made = {e.idempotency_key for e in two_days.effects_after_day_2 if e.operation == "purchase.purchase.create"}
    assert made == set(_order_values(two_days.loop)) - large
    assert "needs_approval" in two_days.loop.signal_status("product_low_stock")["reasons"]["held"]


def test_everything_adds_up(two_days: PlayedDays) -> None:
    said = two_days.loop.loopctl("status", "--prove")
    assert "BROKEN" not in said
    assert said.count("holds ") >= 6
    for signal in two_days.loop.status()["signals"]:
        assert signal["actions"].get("dead", 0) == 0, signal
        assert signal["actions"].get("waiting", 0) == (
            0 if signal["signal"] != "product_low_stock" else _waiting_for_large(two_days.loop)
        )


def test_a_further_tick_makes_no_call(two_days: PlayedDays) -> None:
    calls = two_days.loop.calls()
    effects = len(two_days.loop.sandbox.effects())
    said = two_days.loop.loopctl("tick")
    assert said.count("no actions") + said.count("no new build") + said.count("planned: 0 events") >= 3, said
    assert two_days.loop.calls() == calls
    assert len(two_days.loop.sandbox.effects()) == effects


def test_explain_tells_a_delivered_and_a_refused_customers_story(two_days: PlayedDays) -> None:
    openings = _openings(two_days.loop, "customer_churn_risk")
    refused = next(event for event in openings if event.entity_id in _unreachable(two_days.loop))
    acted = next(event for event in openings if event.entity_id not in _unreachable(two_days.loop))
    story = two_days.loop.loopctl("explain", acted.entity_id)
    for part in ("opened", "add_to_campaign", "assign_task", "alert_team", "attempt 1", "delivered", "•••"):
        assert part in story, story
    assert str(acted.row["customer_name"]) not in story, "personal data shows"
    assert "do_not_contact" in two_days.loop.loopctl("explain", refused.entity_id)


def test_what_reaches_into_the_past_says_first_what_it_would_do(two_days: PlayedDays) -> None:
    loop, before = two_days.loop, two_days.loop.status()
    said = loop.loopctl("prune", "--older-than", "400d", "--dry-run")
    assert "0 events, 0 actions and 0 attempts would go" in said and "events stay: young" in said
    assert "too short" in loop.loopctl("prune", "--older-than", "7d", exit_status=1)
    asked = ("baseline", "act", "--signal", "deal_won", "--limit", "2", "--why", "try")
    assert "2 events would be planned" in loop.loopctl(*asked, "--dry-run")
    filled = loop.loopctl(
        "backfill", "--signal", "customer_churn_risk", "--since", "2000-01-01", "--why", "w", "--dry-run"
    )
    assert "0 events would be planned" in filled and "nothing_new_to_do" in filled
    assert [one["actions"] for one in loop.status()["signals"]] == [one["actions"] for one in before["signals"]]


def test_template_syntax_in_the_data_stays_text(two_days: PlayedDays) -> None:
    names = {
        str(event.row.get("customer_name", ""))
        for event in events_of_day(two_days.loop, 1) + events_of_day(two_days.loop, 2)
    }
    every = " ".join(str(effect) for effect in two_days.effects_after_day_2)
    assert any("{{" in name for name in names), "the generated company should try template injection"
    assert "49" not in every.split(), "7*7 was evaluated"


def _openings(loop: Loop, signal: str) -> list[WarehouseEvent]:
    return [e for e in events_of_day(loop, 2) if e.signal == signal and e.kind == "opened"]


def _unreachable(loop: Loop) -> set[str]:
    rows = loop.warehouse_rows("select entity_id from analytics.do_not_contact where entity_type = 'customer'")
    return {row[0] for row in rows}


def _order_values(loop: Loop) -> dict[str, float]:
    """The purchase orders that day 2 calls for, by key, with their values."""
    values: dict[str, float] = {}
    for event in _openings(loop, "product_low_stock"):
        if event.row["supplier_id"] is not None and (event.row["order_quantity"] or 0) > 0:
            key = group_key(event.build_id, "create_purchase_order", "opened", event.row["supplier_id"])
            values[key] = values.get(key, 0.0) + float(event.row["order_value"])
    return values


def _waiting_for_large(loop: Loop) -> int:
    """Messages to buyers that wait for an order that is held."""
    large = {key for key, value in _order_values(loop).items() if value > PURCHASE_APPROVAL_ABOVE}
    return sum(
        1
        for event in _openings(loop, "product_low_stock")
        if event.row["supplier_id"] is not None
        and group_key(event.build_id, "create_purchase_order", "opened", event.row["supplier_id"]) in large
    )


def _keys_wanted(loop: Loop, events: list[WarehouseEvent]) -> set[str]:
    """Every key that must be found at the sink after day 2: only openings, for nothing of day 1 was acted upon."""
    unreachable = _unreachable(loop)
    wanted: set[str] = set()
    for event in events:
        if event.kind != "opened":
            continue
        if event.signal == "customer_churn_risk" and event.entity_id not in unreachable:
            wanted |= {action_key(event.event_id, step) for step in ("assign_task", "alert_team")}
        if event.signal == "deal_won":
            steps = ["open_project", "tell_team"] + (["welcome"] if event.row["contact_email"] else [])
            wanted |= {action_key(event.event_id, step) for step in steps}
        if event.signal == "product_low_stock" and event.row["supplier_id"] is None:
            wanted.add(action_key(event.event_id, "tell_of_no_supplier"))
    for key, value in _order_values(loop).items():
        if value <= PURCHASE_APPROVAL_ABOVE:
            wanted.add(key)
    for event in _openings(loop, "product_low_stock"):
        supplier = event.row["supplier_id"]
        if supplier is not None and group_key(event.build_id, "create_purchase_order", "opened", supplier) in wanted:
            wanted.add(group_key(event.build_id, "tell_buyers", "opened", supplier))
    return wanted


KEYED = ("tasks.upsert", "purchase.purchase.create", "project.work.create", "chat.postMessage", "send")


def _keys_found_list(days: PlayedDays) -> list[str]:
    return [e.idempotency_key for e in days.effects_after_day_2 if e.operation in KEYED and e.idempotency_key]


def _keys_found(days: PlayedDays) -> set[str]:
    return set(_keys_found_list(days))
