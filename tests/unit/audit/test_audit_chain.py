"""A trail that was touched says where: rows edited, taken out, put in or moved by somebody who passed the guards."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from audit_guards import without_guards
from ledger_bench import FAILED, Bench, MakeBench, opened, resolved, step
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import DatabaseError

from dagster_project.ledger.audit_chain import Head, heads
from dagster_project.ledger.controls import Person, pause, resume
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import audit, audit_batches
from dagster_project.ledger.transitions import write_audit
from dagster_project.verify.audit_trail import HeadRefused, TrailReport, head_text, heads_from, recount


def worked(make_bench: MakeBench) -> Bench:
    """A ledger with rows of several batches and two chains."""
    bench = make_bench(step("call"), step("tell", role="chat", needs=["call"]))
    bench.take_in(opened("a"), opened("b"), opened("c"))
    bench.run(FAILED)
    bench.clock.step(60)
    bench.run_until_quiet()
    pause(bench.database, "all", Person("ann", "a look"))
    resume(bench.database, "all", Person("ann", "looked"))
    bench.take_in(resolved("a"))
    return bench


def report(database: Database, against: tuple[Head, ...] = ()) -> TrailReport:
    with database.reading() as connection:
        return recount(connection, against)


def heads_now(database: Database) -> tuple[Head, ...]:
    with database.reading() as connection:
        return heads(connection)


def tamper(database: Database, change: Callable[[Connection], object]) -> None:
    with database.writing() as connection:
        without_guards(connection)
        change(connection)


def swap(connection: Connection, one: int, other: int) -> None:
    for before, after in ((one, -1), (other, one), (-1, other)):
        connection.execute(update(audit).where(audit.c.seq == before).values(seq=after))


def test_an_untouched_trail_holds_and_every_row_is_in_a_chain(make_bench: MakeBench) -> None:
    bench = worked(make_bench)
    found = report(bench.database)

    assert found.findings == ()
    assert found.rows == len(bench.rows(audit)) > 20
    assert found.heads == heads_now(bench.database)
    assert {head.chain for head in found.heads} == {"*", bench.signal.name}


@pytest.mark.parametrize(
    ("change", "seq", "what"),
    [
        (lambda c: c.execute(update(audit).where(audit.c.seq == 5).values(actor="nobody")), 5, "edited"),
        (lambda c: c.execute(update(audit).where(audit.c.seq == 9).values(detail="all went well")), 9, "edited"),
        (lambda c: c.execute(delete(audit).where(audit.c.seq == 7)), 7, "taken out"),
        (lambda c: swap(c, 3, 4), 3, "moved"),
        (lambda c: swap(c, 4, 14), 4, "edited"),
        (lambda c: c.execute(update(audit).where(audit.c.seq == 6).values(signal="deal_won")), 6, "taken out"),
    ],
    ids=["edited", "text", "deleted", "swapped", "swapped over batches", "moved to another chain"],
)
def test_a_touched_row_is_found_and_named(
    make_bench: MakeBench, change: Callable[[Connection], object], seq: int, what: str
) -> None:
    bench = worked(make_bench)
    tamper(bench.database, change)
    first = report(bench.database).findings[0]

    assert first.seq == seq
    assert what in first.what


def test_one_edit_is_reported_once_and_not_in_every_later_batch(make_bench: MakeBench) -> None:
    bench = worked(make_bench)
    tamper(bench.database, lambda c: c.execute(update(audit).where(audit.c.seq == 5).values(actor="nobody")))

    assert [one.seq for one in report(bench.database).findings] == [5]


def test_a_row_that_was_put_in_is_found(make_bench: MakeBench) -> None:
    bench = worked(make_bench)
    last = max(row.seq for row in bench.rows(audit))

    def add(connection: Connection) -> None:
        row = connection.execute(select(audit).where(audit.c.seq == 5)).one()
        connection.execute(insert(audit), {**row._mapping, "seq": last + 1})

    tamper(bench.database, add)
    (found,) = report(bench.database).findings
    assert (found.seq, found.what.split(":")[0]) == (last + 1, "put in")


def test_rows_taken_out_together_with_their_batch_are_missed(make_bench: MakeBench) -> None:
    bench = worked(make_bench)
    batch = bench.rows(audit_batches, chain=bench.signal.name, number=2)[0]

    def take_out(connection: Connection) -> None:
        connection.execute(delete(audit).where(audit.c.seq.between(batch.first_seq, batch.last_seq)))
        connection.execute(
            delete(audit_batches).where(audit_batches.c.number == 2, audit_batches.c.chain == batch.chain)
        )

    tamper(bench.database, take_out)
    first = report(bench.database).findings[0]
    assert (first.seq, first.what) == (batch.first_seq, "taken out: batch 2 up to 2 is missing")


def test_an_edit_that_also_mends_the_batch_s_list_still_breaks_the_head(make_bench: MakeBench) -> None:
    bench = worked(make_bench)
    batch = bench.rows(audit_batches, chain=bench.signal.name, number=1)[0]

    def edit(connection: Connection) -> None:
        connection.execute(update(audit_batches).where(audit_batches.c.number == 1).values(entries=batch.entries + " "))

    tamper(bench.database, edit)
    assert report(bench.database).findings[0].seq == 1


def cut_off(bench: Bench) -> None:
    """Takes out the newest batch of a chain with its rows: nothing that is left says that there was more."""
    newest = max(bench.rows(audit_batches, chain=bench.signal.name), key=lambda row: row.number)

    def cut(connection: Connection) -> None:
        connection.execute(delete(audit).where(audit.c.seq >= newest.first_seq, audit.c.signal == newest.chain))
        of_batch = (audit_batches.c.chain == newest.chain, audit_batches.c.number == newest.number)
        connection.execute(delete(audit_batches).where(*of_batch))

    tamper(bench.database, cut)


def test_a_trail_that_was_cut_off_is_found_by_a_head_kept_elsewhere(make_bench: MakeBench) -> None:
    bench = worked(make_bench)
    kept = heads_from(head_text(heads_now(bench.database)))
    cut_off(bench)

    assert report(bench.database).holds  # what is left is consistent
    (found,) = report(bench.database, kept).findings
    assert "cut off" in found.what


def test_a_trail_that_was_rewritten_whole_is_found_by_a_head_kept_elsewhere(make_bench: MakeBench) -> None:
    bench = worked(make_bench)
    kept = heads_now(bench.database)
    cut_off(bench)
    with bench.database.writing() as connection:
        entry = {"at": bench.clock.now, "actor": "loop", "verb": "planned", "signal": bench.signal.name}
        write_audit(connection, [entry])

    assert report(bench.database).holds
    (found,) = report(bench.database, kept).findings
    assert "rewritten" in found.what


def test_a_trail_that_went_on_still_leads_past_the_kept_head(make_bench: MakeBench) -> None:
    bench = worked(make_bench)
    kept = heads_now(bench.database)
    bench.take_in(opened("d"))

    assert report(bench.database, kept).holds
    assert report(bench.database, (replace(kept[0], head="f" * 64),)).findings != ()


@pytest.mark.parametrize("line", ["", "a", "a=1", "a=x:" + "0" * 64, "=1:" + "0" * 64, "a=1:00"])
def test_what_is_no_head_is_refused(line: str) -> None:
    with pytest.raises(HeadRefused):
        heads_from(line)


@pytest.mark.parametrize(
    "statement",
    [
        "update audit set actor = 'x' where seq = 1",
        "update audit set detail = '(erased)', salt = null, erased_digest = 'd', actor = 'x' where seq = 1",
        "update audit set detail = 'x', salt = null, erased_digest = 'd' where seq = 1",
        "update audit set seq = 999 where seq = 1",
        "delete from audit where seq = 1",
        "update audit_batches set head = 'x'",
        "delete from audit_batches",
    ],
)
def test_the_database_itself_refuses_to_change_the_trail(make_bench: MakeBench, statement: str) -> None:
    bench = worked(make_bench)
    with pytest.raises(DatabaseError, match="append-only"), bench.database.writing() as connection:
        connection.exec_driver_sql(statement)

    assert report(bench.database).holds


def test_postgres_refuses_to_empty_the_trail(database: Database) -> None:
    if not database.is_postgres:
        pytest.skip("SQLite has no truncate")
    with pytest.raises(DatabaseError, match="truncate on audit is refused"), database.writing() as connection:
        connection.exec_driver_sql("truncate audit")


def test_a_transaction_that_rolls_back_leaves_no_gap_in_the_chain(make_bench: MakeBench) -> None:
    bench = worked(make_bench)
    with pytest.raises(ZeroDivisionError), bench.database.writing() as connection:
        write_audit(connection, [{"at": bench.clock.now, "actor": "loop", "verb": "planned", "detail": "x"}])
        raise ZeroDivisionError
    pause(bench.database, "all", Person("ann", "again"))

    assert report(bench.database).holds


def test_writers_of_many_signals_and_destinations_at_once_keep_every_chain_whole(database: Database) -> None:
    """Signals write at the same time; destinations share the chain of rows without a signal."""

    def write(subject: str) -> None:
        signal = None if subject.startswith("destination") else subject
        for number in range(15):
            rows = [
                {"at": database.now(), "actor": "loop", "verb": "said", "signal": signal, "detail": f"{number} {part}"}
                for part in range(3)
            ]
            database.write(lambda connection, some=rows: write_audit(connection, some), over=subject)

    subjects = ["deal_won", "customer_churn_risk", "product_low_stock", "destination a", "destination b"]
    with ThreadPoolExecutor(len(subjects)) as pool:
        list(pool.map(write, subjects))

    found = report(database)
    assert found.findings == ()
    assert found.rows == 15 * 3 * 5
    assert {head.chain: head.number for head in found.heads} == {
        "*": 30,
        "deal_won": 15,
        "customer_churn_risk": 15,
        "product_low_stock": 15,
    }
