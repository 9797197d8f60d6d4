"""What forms do: the levers, pauses and modes, each through the council, which asks the rules and audits refusals."""

from __future__ import annotations

from datetime import datetime

from starlette.responses import Response

from dagster_project.console.queues import QUEUES, Filter, ids_of
from dagster_project.console.rendering import back_to, told
from dagster_project.console.visit import BadForm, Visit
from dagster_project.contracts.vocabulary import Mode
from dagster_project.ledger.controls import Selection
from dagster_project.ledger.governed import Lever

LONGEST_WHY = 1000


def approve(visit: Visit) -> Response:
    return _pull(visit, Lever.APPROVE, "held")


def reject(visit: Visit) -> Response:
    return _pull(visit, Lever.REJECT, "held")


def replay(visit: Visit) -> Response:
    return _pull(visit, Lever.REPLAY, "dead")


def discard(visit: Visit) -> Response:
    state = visit.given("state") or "dead"
    if state not in QUEUES:
        raise BadForm(f"{state!r} is no queue. Nothing was changed.")
    return _pull(visit, Lever.DISCARD, state)


def _pull(visit: Visit, lever: Lever, state: str) -> Response:
    why = why_of(visit)
    ids = tuple(visit.form.get("id", ()))
    if ids:
        count = visit.council.pull(visit.member, lever, Selection(ids=ids), why)
    elif lever is Lever.DISCARD:  # by ids: the lever alone would also end what waits or is held for the same reason
        count = _pull_cause_by_ids(visit, lever, state, why)
    else:
        wanted, until = _cause(visit, state)
        count = visit.council.pull(visit.member, lever, wanted.selection(until), why)
    return back_to(visit.given("back"), f"/queues/{state}", f"{lever}: {count:,} actions and groups")


def _pull_cause_by_ids(visit: Visit, lever: Lever, state: str, why: str) -> int:
    wanted, until = _cause(visit, state)
    with visit.desk.database.reading() as connection:
        portions = list(ids_of(connection, wanted, until))
    return sum(visit.council.pull(visit.member, lever, Selection(ids=ids), why) for ids in portions)


def _cause(visit: Visit, state: str) -> tuple[Filter, datetime]:
    """What was chosen whole: one cause of one signal, as it was when the person looked."""
    signal, reason = visit.given("signal"), visit.given("reason")
    if not signal or not reason:
        raise BadForm("choose some actions, or all of one cause. Nothing was changed.")
    try:
        until = datetime.fromisoformat(visit.given("until"))
    except ValueError:
        raise BadForm("the form does not say when you looked. Nothing was changed.") from None
    if until.tzinfo is None:
        raise BadForm("the form does not say when you looked, in UTC. Nothing was changed.")
    return Filter(state, signal, reason, visit.given("destination") or None), until


def pause(visit: Visit) -> Response:
    subject, why = _subject(visit), why_of(visit)
    done = visit.council.pause(visit.member, subject, why)
    return back_to(visit.given("back"), "/signals", f"{subject} is paused" if done else f"{subject} was paused already")


def resume(visit: Visit) -> Response:
    subject, why = visit.given("subject"), why_of(visit)
    done = visit.council.resume(visit.member, subject, why)
    if not done:
        return told(visit, "Nothing was changed", f"Nothing is paused under the name {subject!r}.", 404)
    return back_to(visit.given("back"), "/signals", f"{subject} goes on")


def _subject(visit: Visit) -> str:
    subject = visit.given("subject")
    known = {"all", *(f"signal:{name}" for name in visit.catalog.signals)}
    known |= {f"destination:{name}" for name in visit.desk.settings.bindings.values()}
    if subject not in known:
        raise BadForm(f"{subject!r} is none of: {', '.join(sorted(known))}. Nothing was changed.")
    return subject


def go_live(visit: Visit) -> Response:
    return _decide(visit, Mode.LIVE)


def go_shadow(visit: Visit) -> Response:
    return _decide(visit, Mode.SHADOW)


def _decide(visit: Visit, mode: Mode) -> Response:
    signal, why = visit.given("signal"), why_of(visit)
    if signal not in visit.catalog.signals:
        raise BadForm(f"there is no signal {signal!r}. Nothing was changed.")
    visit.council.decide_mode(visit.member, signal, mode, why)
    return back_to(visit.given("back"), f"/signals/{signal}", f"{signal} is {mode} from its next build on")


def why_of(visit: Visit) -> str:
    """The reason that every deed gives. Raises BadForm where it is missing or too long."""
    why = visit.given("why")
    if not why:
        raise BadForm("say why; it is kept in the audit trail. Nothing was changed.")
    if len(why) > LONGEST_WHY:
        raise BadForm(f"say why in at most {LONGEST_WHY} characters. Nothing was changed.")
    return why
