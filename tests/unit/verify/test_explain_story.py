"""The story of one entity, from the row to every answer, without what is personal."""

from __future__ import annotations

import pytest
from unit.verify.small_ledger import SmallLedger

from dagster_project.contracts.catalog import Column
from dagster_project.contracts.destination import Verdict
from dagster_project.verify.explain import explain

NAME, MAIL = "Ada Lovelace", "ada@example.com"


def told(ledger: SmallLedger, subject: str, shows_pii: bool = False) -> str:
    with ledger.database.reading() as connection:
        return "\n".join(line.text for line in explain(connection, ledger.catalog, subject, shows_pii))


@pytest.fixture
def worked(ledger: SmallLedger) -> SmallLedger:
    ledger.build(1, "a", customer_name="Somebody Else")
    ledger.build(2, "b", customer_name=NAME, contract="Two year")
    ledger.deliver("add_to_campaign", external_id="7", url="http://crm/7", status=200)
    ledger.deliver("assign_task", Verdict.RETRY, reason="server_error", detail="503", status=503)
    return ledger


def test_it_goes_from_the_row_to_every_answer(worked: SmallLedger) -> None:
    story = told(worked, "b")
    order = [
        "customer_churn_risk: b opened (episode 1, high, score 0.9) in build 2",
        '"contract": "Two year"',
        "build released: its tests passed",
        "taken into the ledger as planned",
        "add_to_campaign: add_to_campaign at hubspot: delivered -> 7 http://crm/7",
        "planned by loop: waiting",
        "attempt 1 by run run-add_to_campaign: delivered after 2.00 s, status 200",
        "assign_task: assign_task at hubspot: waiting",
        "attempt 1 by run run-assign_task: retry after 2.00 s, status 503 (server_error: 503)",
        "alert_team: post_message at slack: waiting",
    ]
    places = [story.find(part) for part in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)
    assert "Somebody Else" not in story


def test_what_was_not_planned_says_why(worked: SmallLedger) -> None:
    assert "nothing was planned: baseline" in told(worked, "a")


def test_any_id_leads_to_the_same_story(worked: SmallLedger) -> None:
    with worked.database.reading() as connection:
        action = connection.exec_driver_sql("select action_id from actions where entity_id = 'b'").scalars().first()
    assert action is not None
    assert told(worked, action) == told(worked, "build-2-b") == told(worked, "b")
    assert told(worked, "nobody") == ""


def test_personal_columns_and_requests_are_masked_unless_asked_for(worked: SmallLedger) -> None:
    masked = told(worked, "b")
    assert NAME not in masked
    assert MAIL not in masked
    assert '"customer_name": "•••"' in masked
    assert "request: (holds personal data)" in masked
    shown = told(worked, "b", shows_pii=True)
    assert NAME in shown
    assert MAIL in shown


def test_a_signal_that_the_catalog_no_longer_knows_shows_nothing_personal(worked: SmallLedger) -> None:
    worked.catalog = worked.catalog.model_copy(update={"signals": {}})
    story = told(worked, "b")
    assert NAME not in story
    assert MAIL not in story


def test_what_was_looked_up_is_personal_too(worked: SmallLedger) -> None:
    plain = worked.signal.model_copy(update={"columns": {"entity_id": Column(type="text")}})
    worked.catalog = worked.catalog.model_copy(update={"signals": {worked.signal.name: plain}})
    assert plain.pii_columns == frozenset()
    assert MAIL not in told(worked, "b")
