"""What the forms about thresholds and samples do, each under the rules on roles, owners and four eyes."""

from __future__ import annotations

from starlette.responses import Response

from dagster_project.console.pages.deeds import why_of
from dagster_project.console.rendering import address, back_to
from dagster_project.console.visit import BadForm, Visit
from dagster_project.console.wording import value_in_words
from dagster_project.ledger import stewardship
from dagster_project.ledger.criteria import CriteriaRefused, values_in_force
from dagster_project.ledger.samples import NoSuchSample


def propose(visit: Visit) -> Response:
    why, in_force = why_of(visit), values_in_force(visit.desk.database)
    seen = visit.desk.previews.of(visit.given("ticket"), visit.member.name, in_force, visit.at)
    if seen is None:
        raise BadForm("what you looked at is not what would happen any more; look again. Nothing was proposed.")
    readers = visit.catalog.readers_of(seen.name)
    number = stewardship.propose(visit.council, visit.member, seen.name, seen.value, seen.preview, readers, why)
    return back_to("", _page_of(seen.name), f"version {number} is proposed; it changes nothing until it is accepted")


def accept(visit: Visit) -> Response:
    name, number, why = _version(visit)
    try:
        stewardship.accept(visit.council, visit.member, name, number, visit.catalog.readers_of(name), why)
    except CriteriaRefused as error:
        raise BadForm(str(error)) from error
    return back_to("", _page_of(name), f"version {number} holds from the next build on")


def refuse(visit: Visit) -> Response:
    name, number, why = _version(visit)
    try:
        stewardship.refuse(visit.council, visit.member, name, number, visit.catalog.readers_of(name), why)
    except CriteriaRefused as error:
        raise BadForm(str(error)) from error
    return back_to("", _page_of(name), f"version {number} is refused")


def withdraw(visit: Visit) -> Response:
    """As `refuse`, for whoever proposed it; another person's proposal needs the right to refuse it."""
    return refuse(visit)


def roll_back(visit: Visit) -> Response:
    name, why = visit.given("name"), why_of(visit)
    try:
        value = stewardship.roll_back(visit.council, visit.member, name, visit.catalog.readers_of(name), why)
    except CriteriaRefused as error:
        raise BadForm(str(error)) from error
    held = "the repository's value" if value is None else value_in_words(value)
    return back_to("", _page_of(name), f"{held} holds from the next build on")


def _version(visit: Visit) -> tuple[str, int, str]:
    name, number, why = visit.given("name"), visit.given("number"), why_of(visit)
    if not number.isdecimal() or len(number) > 6:
        raise BadForm("say which version. Nothing was changed.")
    return name, int(number), why


def _page_of(name: str) -> str:
    return address(f"/criteria/{name}") if name.isidentifier() else "/criteria"


def check_sample(visit: Visit) -> Response:
    sample_id, action_id, verdict = visit.given("sample"), visit.given("action"), visit.given("verdict")
    why = why_of(visit)
    try:
        stewardship.check_sample(visit.council, visit.member, sample_id, action_id, verdict, why)
    except (NoSuchSample, ValueError) as error:
        raise BadForm(f"{error}. Nothing was changed.") from error
    return back_to(visit.given("back"), "/samples", f"your verdict is kept: {verdict}")
