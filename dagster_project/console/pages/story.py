"""The story of one entity, event, action or group as `loopctl explain` tells it, and the search that leads there."""

from __future__ import annotations

from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from dagster_project.console.outcomes import newest_runs, read_outcomes
from dagster_project.console.rendering import page, web_address
from dagster_project.console.search import find, story_events, story_links
from dagster_project.console.visit import Visit
from dagster_project.verify.explain import explain

LONGEST = 256


def search(visit: Visit) -> Response:
    wanted = visit.asked("q")[:LONGEST]
    with visit.desk.database.reading() as connection:
        hits = find(connection, wanted, visit.seen_signals())
    if len({hit.subject for hit in hits}) == 1:
        return RedirectResponse(f"/story/{quote(hits[0].subject, safe='')}", 303)
    return page(visit, "search.html", area="", wanted=wanted, hits=hits)


def show(visit: Visit) -> Response:
    subject = visit.path["subject"][:LONGEST]
    with visit.desk.database.reading() as connection:
        event_ids, is_cut = story_events(connection, subject, visit.seen_signals())
        told = [explain(connection, visit.catalog, event_id) for event_id in event_ids]
        steps, runs = story_links(connection, event_ids)
        outcomes = read_outcomes(connection, event_ids, steps)
        newest = newest_runs(connection, steps)
    if not event_ids:
        return page(visit, "search.html", 404, area="", wanted=subject, hits=[])
    dagster = visit.desk.settings.dagster_url.rstrip("/")
    links = {run_id: f"{dagster}/runs/{run_id}" for run_id in runs} if web_address(dagster) else {}
    links |= {step.url: step.url for step in steps if web_address(step.url)}
    return page(
        visit,
        "story.html",
        area="",
        subject=subject,
        told=told,
        steps=steps,
        outcomes=outcomes[::-1],
        runs=newest,
        links=links,
        is_cut=is_cut,
    )
