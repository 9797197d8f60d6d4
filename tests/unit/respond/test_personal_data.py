"""Which requests may hold personal data is told from the shipped playbooks' templates."""

from __future__ import annotations

from unit.contracts.prepared_project import prepared_project


def test_steps_that_name_a_person_are_known_and_others_are_not() -> None:
    catalog = prepared_project().catalog
    churn = catalog.signals["customer_churn_risk"]
    assert {"add_to_campaign", "assign_task", "alert_team"} <= set(churn.personal_steps)
    assert "close_task" not in churn.personal_steps
    assert catalog.signals["product_low_stock"].personal_steps == ()
    assert "welcome" in catalog.signals["deal_won"].personal_steps
    assert "mark_account" not in catalog.signals["deal_won"].personal_steps


def test_what_nobody_knows_may_hold_personal_data() -> None:
    catalog = prepared_project().catalog
    assert catalog.may_hold_personal_data("gone", "step")
    assert catalog.may_hold_personal_data("customer_churn_risk", "an_earlier_step")
