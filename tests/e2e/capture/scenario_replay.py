"""The story that the capture is judged by: loads and dbt commands in order, each step recorded by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from capture_lab import CaptureLab, Flag, Step

Recording = dict[str, Step]
World = Mapping[str, list[Flag]]

SKIPPED = "select count(*) from lab.signal_builds where status = '{status}'"
WAITING = "select count(*) from lab.signal_builds where status = 'captured' and released_at is null"
STRANGE_IDS = ["o'hare", 'say "hi"', "two\nlines", "back\\slash", "r😀cket", "käse|1", "{{ 7 * 7 }}", "100%s"]

START: World = {
    "customer_churn_risk": [Flag("a"), Flag("b", "high")],
    "product_low_stock": [Flag("p")],
    "deal_won": [Flag("d1")],
    "invoice_overdue": [Flag("i1")],
    "shipment_late": [Flag("s1")],
}


class Story:
    """The world as it stands, the steps taken so far, and the ways to take another."""

    def __init__(self, lab: CaptureLab) -> None:
        self.lab = lab
        self.recording: Recording = {}
        self.world: World = START

    def change(self, loaded_at: str, **changed: list[Flag]) -> None:
        """Load the world anew with some signals' rows replaced."""
        self.world = {**self.world, **changed}
        self.lab.land(loaded_at, self.world)

    def visit(self, loaded_at: str, **changed: list[Flag]) -> None:
        """Load a world that the next scenario does not start from."""
        self.lab.land(loaded_at, {**self.world, **changed})

    def step(self, name: str, *command: str) -> Step:
        taken = self.lab.dbt(*command)
        self.recording[name] = taken
        return taken


def replay(lab: CaptureLab) -> Recording:
    """Take every step once, in order, and give back what each did."""
    story = Story(lab)
    chapters: list[Callable[[Story], None]] = [
        baseline,
        episodes,
        flapping,
        sources,
        refused_rows,
        retried,
        moments,
        refused_models,
        held_and_released,
        skipped_test,
        tested_after_a_skip,
        another_process,
        faults,
        selections,
        criteria,
        strange_ids,
        incarnation,
        last_look,
    ]
    for chapter in chapters:
        chapter(story)
    return story.recording


def baseline(story: Story) -> None:
    story.change("2026-02-01 00:00:00")
    story.step("first build", "build").seen.update(
        event_parts=story.lab.rows(
            "select event_id, incarnation_id, signal, entity_id, episode, kind "
            "from lab.signal_events, lab.signal_incarnation"
        )
    )
    story.step("same data again", "build")
    story.step("full refresh", "build", "--full-refresh")
    story.step("unit tests only", "test", "--select", "test_type:unit")
    story.step("empty flag", "build", "--empty")
    story.step("sample flag", "build", "--sample", "1 day")


def episodes(story: Story) -> None:
    story.change(
        "2026-02-01 01:00:00",
        customer_churn_risk=[Flag("a", "critical"), Flag("c")],
        product_low_stock=[Flag("p"), Flag("q")],
        deal_won=[Flag("d2")],
        invoice_overdue=[Flag("i1"), Flag("i2")],
    )
    step = story.step("enter, escalate, leave", "build")
    step.seen["resolved"] = story.lab.rows(
        "select severity, row_json, observed_at from lab.signal_events where entity_id = 'b' and kind = 'resolved'"
    )
    story.change(
        "2026-02-01 02:30:00",
        customer_churn_risk=[Flag("a"), Flag("b"), Flag("c")],
        deal_won=[Flag("d1")],
        product_low_stock=[Flag("q")],
        invoice_overdue=[Flag("i2")],
    )
    story.step("lower, return, wait", "build")
    story.change("2026-02-01 03:00:00", customer_churn_risk=[Flag("a", "high"), Flag("b"), Flag("c")])
    story.step("patience met", "build")


def flapping(story: Story) -> None:
    story.change("2026-02-01 04:00:00", product_low_stock=[], invoice_overdue=[Flag("i2"), Flag("i1"), Flag("blink")])
    story.step("gone for one build", "build")
    story.change("2026-02-01 04:10:00", product_low_stock=[Flag("q")], invoice_overdue=[Flag("i2"), Flag("i1")])
    story.step("back within resolve_after", "build")
    story.change("2026-02-01 04:20:00", invoice_overdue=[Flag("i2"), Flag("i1"), Flag("blink")])
    story.step("noticed anew after being forgotten", "build")
    story.change("2026-02-01 06:10:00", invoice_overdue=[Flag("i2"), Flag("i1")])
    story.step("gone again before open_after", "build")


def sources(story: Story) -> None:
    story.visit("2026-02-01 01:00:00", customer_churn_risk=[Flag("zz")])
    story.step("older source", "build")
    story.lab.database.run("delete from landing.flag_rows")
    story.step("empty source", "build")
    story.visit("2026-02-01 06:20:00", customer_churn_risk=[])
    story.lab.database.run("alter table landing.customers rename to customers_kept")
    story.lab.database.run("create table landing.customers (customer_id varchar)")
    story.step("empty population", "build", "--select", "customer_churn_risk")
    story.lab.database.run("drop table landing.customers", "alter table landing.customers_kept rename to customers")
    story.change("2026-02-01 06:30:00")
    story.step("sources are back", "build")


def refused_rows(story: Story) -> None:
    infinity = f"cast('{story.lab.database.infinity}' as double precision)"
    bad_rows = {
        "null id": [Flag(None), Flag("a")],
        "blank id": [Flag(" "), Flag("a")],
        "duplicate ids": [Flag("a"), Flag("a"), Flag("it's"), Flag("it's")],
        "unknown severity": [Flag("a", "urgent"), *(Flag(f"n{n}", None) for n in range(4))],
        "NaN": [Flag("a", score="cast('NaN' as double precision)")],
        "infinity": [Flag("a", score=infinity)],
        "no observed_at": [Flag("a", observed_at=None)],
    }
    for name, flags in bad_rows.items():
        story.visit("2026-02-01 07:00:00", customer_churn_risk=flags)
        before = story.lab.rows("select entity_id from lab.customer_churn_risk order by 1")
        step = story.step(name, "build", "--select", "customer_churn_risk")
        after = story.lab.rows("select entity_id from lab.customer_churn_risk order by 1")
        step.seen["is_table_as_before"] = before == after and before != []


def retried(story: Story) -> None:
    story.visit("2026-02-01 07:00:00", customer_churn_risk=[Flag("a", "urgent")])
    story.step("refused before a retry", "build", "--select", "customer_churn_risk")
    story.change("2026-02-01 07:00:00")
    story.step("retry", "retry")


def moments(story: Story) -> None:
    lab = story.lab
    story.change("2026-02-01 07:10:00", supplier_overdue=[Flag("zoned")], deal_won=[Flag("d1"), Flag("plain")])
    step = story.step("moments of every kind", "build")
    step.seen["observed"] = dict(
        lab.rows("select entity_id, observed_at from lab.signal_events where entity_id in ('zoned', 'plain')")
    )
    step.seen["row"] = lab.one("select row_json from lab.signal_events where entity_id = 'zoned'")
    step.seen["captured_at"] = lab.one("select max(captured_at) from lab.signal_builds")


def refused_models(story: Story) -> None:
    story.visit("2026-02-01 07:00:00", refused=[Flag("x")])
    command = ["build", "--vars", "lab_refused: true", "--select", "open_orders", "path:models/refused_signals"]
    step = story.step("refused models", *command)
    step.seen["tables"] = story.lab.rows(
        "select table_name from information_schema.tables where table_name like 'refused%'"
    )


def held_and_released(story: Story) -> None:
    lab = story.lab
    story.change("2026-02-01 08:00:00", shipment_late=[Flag("s1"), Flag("s2", score="null")])
    story.step("failing test", "build").seen.update(waiting=lab.one(WAITING))
    story.change("2026-02-01 08:10:00", shipment_late=[Flag("s1"), Flag("s2", reason="warned of")])
    story.step("next good build", "build").seen.update(waiting=lab.one(WAITING))
    story.change("2026-02-01 08:20:00", shipment_late=[Flag("s1"), Flag("s2"), Flag("s3")])
    story.step("run without tests", "run", "--select", "shipment_late").seen.update(waiting=lab.one(WAITING))
    story.step("tests of something else", "test", "--select", "customer_churn_risk").seen.update(
        waiting=lab.one(WAITING)
    )
    story.step("its tests afterwards", "test", "--select", "shipment_late").seen.update(waiting=lab.one(WAITING))
    story.change("2026-02-01 08:30:00", customer_churn_risk=[Flag("a", "high"), Flag("b"), Flag("c"), Flag("t")])
    partly = ["build", "--select", "customer_churn_risk", "--exclude", "unique_customer_churn_risk_entity_id"]
    story.step("one of its tests left out", *partly).seen.update(waiting=lab.one(WAITING))
    story.step("the other test alone", "test", "--select", "unique_customer_churn_risk_entity_id").seen.update(
        waiting=(lab.one(WAITING))
    )
    lab.database.run("alter table lab.customer_churn_risk rename column entity_id to entity_ix")
    story.step("tests in error", "test", "--select", "customer_churn_risk").seen.update(
        waiting=lab.one(WAITING),
        reason=lab.one(
            "select max(held_reason) from lab.signal_builds where released_at is null and status = 'captured'"
        ),
    )
    lab.database.run("alter table lab.customer_churn_risk rename column entity_ix to entity_id")
    story.step("tests repaired", "test", "--select", "customer_churn_risk").seen.update(waiting=lab.one(WAITING))


def skipped_test(story: Story) -> None:
    lab = story.lab
    story.visit("2026-02-01 08:32:00", machine_overheating=[Flag("m", "urgent")], supplier_overdue=[Flag("v")])
    story.step("test skipped for another signal's failure", "build").seen.update(waiting=lab.one(WAITING))
    story.change("2026-02-01 08:33:00", supplier_overdue=[Flag("v")])
    story.step("both signals well again", "build").seen.update(waiting=lab.one(WAITING))


def tested_after_a_skip(story: Story) -> None:
    lab = story.lab
    story.change("2026-02-01 08:35:00", deal_won=[Flag("d4")])
    story.step("run of a signal without tests", "run", "--select", "deal_won")
    story.change("2026-02-01 08:36:00", shipment_late=[Flag("s4")])
    story.step("captured and waiting", "run", "--select", "shipment_late")
    story.visit("2026-02-01 08:00:00", shipment_late=[Flag("old")])
    story.step("skipped after it", "run", "--select", "shipment_late")
    story.step("tests of the skipped table", "test", "--select", "shipment_late").seen.update(waiting=lab.one(WAITING))


def another_process(story: Story) -> None:
    lab = story.lab
    story.change("2026-02-01 08:40:00", deal_won=[Flag("d3")])
    story.step(
        "another process captures before the release", "build", "--vars", "lab_foreign_build: deal_won"
    ).seen.update(
        waiting=lab.rows(
            "select invocation_id from lab.signal_builds where status = 'captured' and released_at is null"
        ),
        own=lab.one(
            "select count(*) from lab.signal_builds "
            "where signal = 'deal_won' and status = 'captured' and released_at is null"
        ),
    )
    lab.database.run("delete from lab.signal_builds where build_id like 'foreign-%'")


def faults(story: Story) -> None:
    lab = story.lab
    lab.database.run("alter table lab.signal_builds rename column captured_at to captured_away")
    story.visit("2026-02-01 08:50:00", customer_churn_risk=[Flag("fault")])
    before = lab.rows("select * from lab.signal_state order by signal, entity_id")
    step = story.lab.dbt("build", "--select", "customer_churn_risk")
    story.recording["fault at the last statement"] = step
    step.seen["is_state_as_before"] = lab.rows("select * from lab.signal_state order by signal, entity_id") == before
    step.seen["table"] = lab.rows("select entity_id from lab.customer_churn_risk order by 1")
    lab.database.run("alter table lab.signal_builds rename column captured_away to captured_at")
    lab.database.run("create table lab.state_kept as select * from lab.signal_state", "delete from lab.signal_state")
    story.step("state lost", "build", "--select", "deal_won").seen.update(
        state=lab.one("select count(*) from lab.signal_state")
    )
    lab.database.run("insert into lab.signal_state select * from lab.state_kept", "drop table lab.state_kept")


def selections(story: Story) -> None:
    story.change("2026-02-01 09:00:00", customer_churn_risk=[], shipment_late=[Flag("s9")])
    story.step("one signal selected", "build", "--select", "customer_churn_risk")
    story.step("the others", "build")
    story.visit("2026-02-01 09:10:00", pallet=[Flag("warm")])
    story.step("long name", "build", "--select", "pallet_temperature_out_of_its_range_for_too_long_ok")


def criteria(story: Story) -> None:
    story.visit("2026-02-01 09:20:00", customer_churn_risk=[Flag("v")])
    story.step("threshold as it was", "build", "--select", "customer_churn_risk", "shipment_late")
    changed = ["build", "--vars", "churn_score_from: 0.5", "--select", "customer_churn_risk", "shipment_late"]
    story.step("threshold changed", *changed)


def strange_ids(story: Story) -> None:
    flags = [Flag(entity_id, reason=f"because {entity_id}") for entity_id in STRANGE_IDS]
    story.visit("2026-02-01 09:30:00", deal_won=flags)
    story.step("strange ids", "build", "--select", "deal_won").seen.update(
        rows=story.lab.rows(
            "select event_id, entity_id, row_json, incarnation_id from lab.signal_events, lab.signal_incarnation "
            "where build_id = (select build_id from lab.signal_builds "
            "where signal = 'deal_won' and status = 'captured' order by build_no desc limit 1)"
        )
    )


def incarnation(story: Story) -> None:
    lab = story.lab
    query = "select incarnation_id from lab.signal_incarnation"
    before = lab.one(query)
    story.step("renewal without the old id", "run-operation", "signal_incarnation_renew").seen.update(
        is_same=(lab.one(query) == before)
    )
    arguments = ["run-operation", "signal_incarnation_renew", "--args", f"instead_of: {before}"]
    story.step("renewal", *arguments).seen.update(is_same=lab.one(query) == before)


def last_look(story: Story) -> None:
    lab = story.lab
    story.step("last look", "test", "--select", "deal_won").seen.update(
        events=lab.one("select count(*) from lab.signal_events"),
        ids=lab.one("select count(distinct event_id) from lab.signal_events"),
        counted=lab.one("select sum(opened + escalated + resolved) from lab.signal_builds"),
        per_build=lab.rows(
            "select b.build_id, b.opened, b.escalated, b.resolved, "
            "(select count(*) from lab.signal_events e where e.build_id = b.build_id and e.kind = 'opened'), "
            "(select count(*) from lab.signal_events e where e.build_id = b.build_id and e.kind = 'escalated'), "
            "(select count(*) from lab.signal_events e where e.build_id = b.build_id and e.kind = 'resolved') "
            "from lab.signal_builds b"
        ),
        numbers=lab.rows(
            "select signal, count(build_no), max(build_no), count(distinct build_no) from lab.signal_builds "
            "where status = 'captured' group by signal"
        ),
        state_ids=lab.one("select count(*) - count(distinct signal || '|' || entity_id) from lab.signal_state"),
        rows=[row for (row,) in lab.rows("select row_json from lab.signal_events")],
    )
