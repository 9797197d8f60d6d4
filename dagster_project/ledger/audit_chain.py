"""Writes the audit trail so that it proves itself: the head of each batch follows from its rows and the head before.

There is one chain for each signal and one for what belongs to no signal. Whoever writes about a signal excludes other
writers about it, so that its chain never makes anybody wait who did not have to wait anyway; one chain over everything
would let one signal's deliveries wait for another's. Rows are sealed in the transaction that writes them: there is no
time at which a row stands in the trail and could be changed unnoticed.

A row's text may hold personal data. It enters the hash by a salted digest of its own, so that the text and the salt can
be taken away later (`erasure`) and the chain still holds, while the digest left behind gives nothing away.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, func, insert, select, text

from dagster_project.ledger.row_writing import insert_rows
from dagster_project.ledger.schema import audit, audit_batches

NO_SIGNAL = "*"  # the chain of rows that belong to no signal: pauses, circuits, the do-not-contact list
GENESIS = "0" * 64
SHOWN_DIGITS = 16  # of a row's digest, kept with its batch: enough to find the row, the head proves it
ERASED = "(erased)"  # stands where a text was
ERASING_VERB = "erased"  # of the row that tells of it
SALT_BYTES = 16
_compact = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True)
class Head:
    """Where a chain ends: its newest batch, and the hash that all of its rows lead to."""

    chain: str
    number: int
    head: str


@dataclass(frozen=True)
class Sealed:
    """What a batch says about its rows, in the order of seq."""

    head: str
    entries: str  # "seq:digest seq:digest ...", digests cut


def chain_of(signal: str | None) -> str:
    return NO_SIGNAL if signal is None else signal


def text_digest(detail: str, salt: str | None) -> str:
    """The salted digest that stands for a row's text; empty where there is no text."""
    return hashlib.sha256(f"{salt or ''}\n{detail}".encode()).hexdigest() if detail else ""


def row_digest(row: Mapping[str, Any], detail_digest: str) -> str:
    """The digest of everything that a row says, except its seq."""
    said = [
        _moment(row["at"]),
        row["actor"],
        row["verb"],
        row["signal"],
        row["build_id"],
        row["action_id"],
        row["from_state"],
        row["to_state"],
        row["reason"],
        detail_digest,
    ]
    return hashlib.sha256(_compact(said).encode()).hexdigest()


@lru_cache(maxsize=8)  # the rows of a batch share theirs
def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def sealed(before: str, chain: str, number: int, rows: Sequence[tuple[int, str]]) -> Sealed:
    """The head of a batch.

    Parameters: the head before it; its chain and number; seq and digest of its rows, in the order of seq.
    """
    lines = [before, chain, str(number), *(f"{seq}:{digest}" for seq, digest in rows)]
    entries = " ".join(f"{seq}:{digest[:SHOWN_DIGITS]}" for seq, digest in rows)
    return Sealed(hashlib.sha256("\n".join(lines).encode()).hexdigest(), entries)


def append(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds rows to the trail and seals them, a batch for each chain, inside the caller's transaction.

    Parameters: the rows, every column but seq and salt given.
    """
    by_chain: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_chain.setdefault(chain_of(row["signal"]), []).append(row)
    for chain in sorted(by_chain):  # always in this order, so that two writers cannot wait for each other
        _lock(connection, chain)
        numbers = _next_numbers(connection, len(by_chain[chain]))
        numbered = [
            {**row, "seq": seq, "salt": os.urandom(SALT_BYTES).hex() if row["detail"] else None}
            for seq, row in zip(numbers, by_chain[chain], strict=True)
        ]
        insert_rows(connection, audit, numbered)
        seal(connection, chain, numbered)


def seal(connection: Connection, chain: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Makes rows that are in the trail the next batch of their chain.

    Parameters: the chain; its rows, seq and salt included, in the order of seq.
    """
    before = head_of(connection, chain)
    digests = [(row["seq"], row_digest(row, text_digest(row["detail"], row["salt"]))) for row in rows]
    result = sealed(before.head, chain, before.number + 1, digests)
    batch = {
        "chain": chain,
        "number": before.number + 1,
        "first_seq": digests[0][0],
        "last_seq": digests[-1][0],
        "entries": result.entries,
        "head": result.head,
        "sealed_at": rows[-1]["at"],
    }
    connection.execute(insert(audit_batches), batch)


def head_of(connection: Connection, chain: str) -> Head:
    """Where a chain ends now; number 0 where it has not begun."""
    newest = (
        select(audit_batches.c.number, audit_batches.c.head)
        .where(audit_batches.c.chain == chain)
        .order_by(audit_batches.c.number.desc())
        .limit(1)
    )
    row = connection.execute(newest).first()
    return Head(chain, 0, GENESIS) if row is None else Head(chain, row.number, row.head)


def heads(connection: Connection) -> tuple[Head, ...]:
    """Where every chain ends now, by name."""
    chains: Iterable[str] = connection.execute(select(audit_batches.c.chain).distinct()).scalars().all()
    return tuple(head_of(connection, chain) for chain in sorted(chains))


def _lock(connection: Connection, chain: str) -> None:
    """On PostgreSQL, other writers to this chain wait: a signal's own do so anyway, those of destinations do not."""
    if connection.dialect.name == "postgresql":
        wanted = "select pg_advisory_xact_lock(hashtextextended(:chain, 0))"
        connection.execute(text(wanted), {"chain": f"signal loop audit: {chain}"})


def _next_numbers(connection: Connection, count: int) -> Sequence[int]:
    """So many seqs, ascending: on PostgreSQL from the sequence, on SQLite, where one process writes, the next ones."""
    if connection.dialect.name == "postgresql":
        wanted = "select nextval(pg_get_serial_sequence('audit', 'seq')) from generate_series(1, :n)"
        return sorted(connection.execute(text(wanted), {"n": count}).scalars())
    # of a deleted row too: its seq is not given out again, so that it is missed
    newest = (select(func.max(audit.c.seq)), select(func.max(audit_batches.c.last_seq)))
    start = 1 + max(connection.execute(query).scalar() or 0 for query in newest)
    return range(start, start + count)
