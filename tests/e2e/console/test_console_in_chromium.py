"""A person at the console in real Chromium: three clicks to an answer, by keyboard, on a phone, in the dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from e2e.console.conftest import Served
from sqlalchemy import select

from dagster_project.ledger.schema import actions, audit

PAGES = ("/", "/queues/held", "/queues/dead", "/queues/waiting?kind=due", "/queues/suppressed", "/signals",
         "/signals/customer_churn_risk", "/audit?who=everybody", "/story/C000000001",
         "/review/replay?signal=customer_churn_risk&reason=not_found", "/criteria", "/criteria/churn_threshold",
         "/samples", "/samples/s1/a1", "/search?q=nobody", "/sign-in")  # fmt: skip
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}

HERE = Path(__file__).parent
FAULTS, LOWEST_CONTRAST = ((HERE / name).read_text(encoding="utf-8") for name in ("faults.js", "contrast.js"))


@pytest.mark.parametrize("window", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_loads_nothing_from_elsewhere(
    chromium: Any, served: Served, window: dict[str, int], scheme: str
) -> None:
    context = chromium.new_context(viewport=window, color_scheme=scheme)
    page = context.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    for path in PAGES:
        answer = page.goto(served.url + path)
        assert answer.status == 200, path
        assert page.evaluate(FAULTS) == [], path
        ratio, where = page.evaluate(LOWEST_CONTRAST)
        assert ratio >= 4.5, f"{path}, {scheme}: {ratio:.2f} at {where}"
    assert complaints == []
    assert {url for url in asked if not url.startswith(served.url)} == set()
    context.close()


def test_from_the_overview_to_why_a_customer_got_no_campaign_in_three_clicks(chromium: Any, served: Served) -> None:
    page = chromium.new_page(viewport=DESK)
    page.goto(served.url)
    page.get_by_role("link", name="6 dead: nothing more is tried").click()
    page.get_by_role("link", name="C000000003").click()
    told = page.locator("main").inner_text()
    assert "no such contact" in told and "not_found" in told
    page.close()


def test_from_the_overview_to_who_changed_the_threshold_in_one_click(chromium: Any, served: Served) -> None:
    page = chromium.new_page(viewport=DESK)
    page.goto(served.url)
    page.get_by_role("link", name="Criteria", exact=True).click()
    told = page.get_by_role("row").filter(has_text="churn_high").first.inner_text()
    assert "Put into force by bob" in told and "proposed by eddie: more reach" in told
    page.close()


def test_from_the_overview_to_which_actions_are_late_and_why_in_one_click(chromium: Any, served: Served) -> None:
    page = chromium.new_page(viewport=DESK)
    page.goto(served.url)
    page.get_by_role("link", name="late or failed: why").click()
    told = page.get_by_role("row").filter(has_text="C000000003").first.inner_text()
    assert "add_to_campaign" in told and "not_found" in told
    page.close()


def test_why_a_customer_got_no_campaign_is_found_by_search(chromium: Any, served: Served) -> None:
    page = chromium.new_page(viewport=PHONE)
    page.goto(served.url)
    page.get_by_role("searchbox").fill("C000000003")
    page.get_by_role("button", name="Find").click()
    assert "add_to_campaign is dead (not_found" in page.locator("main").inner_text()
    page.close()


def test_a_spot_check_and_a_decision_are_made_in_the_browser(chromium: Any, served: Served) -> None:
    page = chromium.new_page(viewport=DESK)
    page.goto(f"{served.url}/samples?verdict=mismatch")
    page.get_by_role("link", name="a group").click()
    page.get_by_label("Verdict").select_option("match")
    page.get_by_label("Why").fill("seen there")
    page.get_by_role("button", name="Keep my verdict").click()
    assert "your verdict is kept: match" in page.get_by_role("status").inner_text()
    page.goto(served.url)
    page.get_by_role("link", name="another value of churn_threshold waits").click()
    page.get_by_label("Why: Accept 0.8").fill("agreed")
    page.get_by_role("button", name="Accept 0.8").click()
    assert "version 1 holds from the next build on" in page.get_by_role("status").inner_text()
    page.close()


def test_dead_work_is_replayed_with_a_reason_and_the_trail_has_it(chromium: Any, served: Served) -> None:
    page = chromium.new_page(viewport=PHONE)
    page.goto(f"{served.url}/queues/dead")
    page.get_by_role("checkbox").nth(0).check()
    page.get_by_role("checkbox").nth(1).check()
    page.get_by_role("button", name="Replay chosen").click()
    assert "2 actions and groups" in page.locator("main").inner_text()
    page.get_by_label("Why").fill("the contacts are there now")
    page.get_by_role("button", name="Replay 2").click()
    assert "replay: 2 actions and groups" in page.get_by_role("status").inner_text()
    with served.ledger.database.reading() as connection:
        dead = connection.execute(select(actions.c.action_id).where(actions.c.state == "dead")).all()
        told = connection.execute(select(audit.c.detail).where(audit.c.verb == "replayed")).scalars().all()
    assert len(dead) == 4
    assert told == ["the contacts are there now"] * 2
    page.close()


def test_a_deed_without_a_reason_is_stopped_by_the_browser(chromium: Any, served: Served) -> None:
    page = chromium.new_page(viewport=DESK)
    page.goto(f"{served.url}/review/approve?signal=customer_churn_risk&reason=volume_guard")
    page.get_by_role("button", name="Approve").click()
    assert "/review/approve" in page.url
    page.get_by_label("Why").fill("the wave is right")
    page.get_by_role("button", name="Approve").click()
    assert "approve: " in page.get_by_role("status").inner_text()
    page.close()


def test_a_signal_is_paused_and_resumed_by_keyboard_alone(chromium: Any, served: Served) -> None:
    page = chromium.new_page(viewport=DESK)
    page.goto(f"{served.url}/signals")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the page"
    for word, path in (("Pause", "Why: Pause signal:deal_won"), ("Resume", "Why: Resume signal:deal_won")):
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.getAttribute('aria-label')") == path:
                break
        page.keyboard.type(f"{word} by keyboard")
        page.keyboard.press("Enter")
        page.get_by_role("status").wait_for()
    assert "signal:deal_won goes on" in page.get_by_role("status").inner_text()
    page.close()


def test_a_page_that_is_put_into_a_frame_elsewhere_stays_empty(chromium: Any, served: Served) -> None:
    page = chromium.new_page(viewport=DESK)
    page.set_content(f'<iframe src="{served.url}/signals"></iframe>')
    assert all("Signals as they are deployed" not in frame.content() for frame in page.frames)
    page.close()
