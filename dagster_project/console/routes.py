"""The one table of the console's guarded routes: path, method, the right that it needs, and who makes the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from dagster_project.console.pages import (
    audit,
    criteria,
    deeds,
    deployed,
    governing,
    overview,
    queues,
    review,
    samples,
    story,
)
from dagster_project.console.visit import Visit
from dagster_project.contracts.roles import Right


@dataclass(frozen=True)
class Page:
    path: str
    method: str
    needs: Right
    handler: Callable[[Visit], Response]

    @property
    def is_deed(self) -> bool:
        return self.method == "POST"


ROUTES = (
    Page("/", "GET", Right.VIEW, overview.show),
    Page("/search", "GET", Right.VIEW, story.search),
    Page("/story/{subject:path}", "GET", Right.VIEW, story.show),
    Page("/queues/waiting", "GET", Right.VIEW, queues.show_waiting),
    Page("/queues/{state}", "GET", Right.VIEW, queues.show),
    Page("/review/{lever}", "GET", Right.VIEW, review.show),
    Page("/signals", "GET", Right.VIEW, deployed.show_all),
    Page("/signals/{name}", "GET", Right.VIEW, deployed.show_one),
    Page("/criteria", "GET", Right.VIEW, criteria.show_all),
    Page("/criteria/{threshold}", "GET", Right.VIEW, criteria.show_one),
    Page("/samples", "GET", Right.VIEW, samples.show_all),
    Page("/samples/{sample}/{action}", "GET", Right.VIEW, samples.show_one),
    Page("/audit", "GET", Right.VIEW, audit.show),
    Page("/approve", "POST", Right.APPROVE, deeds.approve),
    Page("/reject", "POST", Right.REJECT, deeds.reject),
    Page("/replay", "POST", Right.REPLAY, deeds.replay),
    Page("/discard", "POST", Right.DISCARD, deeds.discard),
    Page("/pause", "POST", Right.PAUSE, deeds.pause),
    Page("/resume", "POST", Right.PAUSE, deeds.resume),
    Page("/go-live", "POST", Right.GO_LIVE, deeds.go_live),
    Page("/go-shadow", "POST", Right.GO_SHADOW, deeds.go_shadow),
    Page("/criteria-preview", "POST", Right.EDIT_CRITERIA, criteria.preview),
    Page("/criteria-propose", "POST", Right.EDIT_CRITERIA, governing.propose),
    Page("/criteria-accept", "POST", Right.APPROVE, governing.accept),
    Page("/criteria-refuse", "POST", Right.REJECT, governing.refuse),
    Page("/criteria-withdraw", "POST", Right.EDIT_CRITERIA, governing.withdraw),
    Page("/criteria-roll-back", "POST", Right.APPROVE, governing.roll_back),
    Page("/samples-check", "POST", Right.CHECK_SAMPLES, governing.check_sample),
)
