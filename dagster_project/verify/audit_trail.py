"""Recounts the audit trail's chains: rows edited, taken out, put in or moved, and whether a kept head still holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from dagster_project.ledger.audit_chain import (
    ERASED,
    ERASING_VERB,
    GENESIS,
    SHOWN_DIGITS,
    Head,
    chain_of,
    row_digest,
    sealed,
    text_digest,
)
from dagster_project.ledger.schema import audit, audit_batches

ROWS_AT_ONCE = 5000
BATCHES_AT_ONCE = 200


class HeadRefused(ValueError):
    """A head that cannot be read; nothing was compared."""


@dataclass(frozen=True)
class Finding:
    """Something in the trail that is not as it was written."""

    seq: int  # the row; of a whole batch, its first
    chain: str
    what: str

    def __str__(self) -> str:
        return f"row {self.seq} of chain {self.chain}: {self.what}"


@dataclass(frozen=True)
class TrailReport:
    rows: int
    heads: tuple[Head, ...]  # as recounted
    findings: tuple[Finding, ...]  # the lowest seq first

    @property
    def holds(self) -> bool:
        return not self.findings


def head_text(heads: Sequence[Head]) -> str:
    """Heads as one line that can be kept elsewhere."""
    return ",".join(f"{one.chain}={one.number}:{one.head}" for one in heads)


def heads_from(line: str) -> tuple[Head, ...]:
    """The heads that such a line names. Raises HeadRefused."""
    found = []
    for part in line.strip().split(","):
        chain, _, rest = part.partition("=")
        number, _, head = rest.partition(":")
        if not (chain and number.isdigit() and len(head) == len(GENESIS)):
            raise HeadRefused(f"{part[:80]!r} is no head; it looks like customer_churn_risk=12:<64 digits>")
        found.append(Head(chain, int(number), head))
    return tuple(found)


def recount(connection: Connection, against: Sequence[Head] = ()) -> TrailReport:
    """Reads the whole trail once, in order, and compares it with its batches and with heads kept elsewhere.

    Parameters: a reading connection (one snapshot); the heads to compare with.
    """
    wanted = {(head.chain, head.number): head.head for head in against}
    walks = {chain: _Walk(connection, chain, wanted) for chain in _chains(connection)}
    erasures = _Erasures()
    count = 0
    for row in _rows(connection):
        count += 1
        chain = chain_of(row.signal)
        if chain not in walks:
            walks[chain] = _Walk(connection, chain, wanted)
        walks[chain].take(row)
        erasures.take(row)
    for walk in walks.values():
        walk.finish()
    findings = [finding for walk in walks.values() for finding in walk.findings] + erasures.findings()
    findings += [_gone(head, walks.get(head.chain)) for head in against if not _reaches(walks.get(head.chain), head)]
    return TrailReport(
        rows=count,
        heads=tuple(Head(name, walk.number, walk.before) for name, walk in sorted(walks.items()) if walk.number),
        findings=tuple(sorted(findings, key=lambda one: (one.seq, one.chain))),
    )


def _reaches(walk: _Walk | None, head: Head) -> bool:
    return head.number == 0 or (walk is not None and walk.number >= head.number)


def _gone(head: Head, walk: _Walk | None) -> Finding:
    last, number = (walk.last_seq, walk.number) if walk else (0, 0)
    return Finding(
        last + 1,
        head.chain,
        f"cut off: the head kept elsewhere is of batch {head.number}, the trail ends with {number}",
    )


def _chains(connection: Connection) -> Sequence[str]:
    return connection.execute(select(audit_batches.c.chain).distinct()).scalars().all()


def _rows(connection: Connection) -> Iterator[Row[Any]]:
    last = -(2**62)
    while True:
        page = select(audit).where(audit.c.seq > last).order_by(audit.c.seq).limit(ROWS_AT_ONCE)
        rows = connection.execute(page).all()
        yield from rows
        if len(rows) < ROWS_AT_ONCE:
            return
        last = rows[-1].seq


def _batches(connection: Connection, chain: str) -> Iterator[Row[Any]]:
    last = 0
    while True:
        of_chain = (audit_batches.c.chain == chain, audit_batches.c.number > last)
        page = select(audit_batches).where(*of_chain).order_by(audit_batches.c.number).limit(BATCHES_AT_ONCE)
        rows = connection.execute(page).all()
        yield from rows
        if len(rows) < BATCHES_AT_ONCE:
            return
        last = rows[-1].number


def _digest(row: Row[Any]) -> str:
    """What the row says now; a text that is not the erased one is never hidden behind an erased digest."""
    is_erased = row.erased_digest is not None and row.detail == ERASED
    detail = row.erased_digest if is_erased else text_digest(row.detail, row.salt)
    return row_digest(row._asdict(), detail)


@dataclass
class _Walk:
    """One chain, batch by batch, as its rows come by."""

    connection: Connection
    chain: str
    wanted: Mapping[tuple[str, int], str]
    findings: list[Finding] = field(default_factory=list)
    before: str = GENESIS
    number: int = 0
    last_seq: int = 0

    def __post_init__(self) -> None:
        self._batches = _batches(self.connection, self.chain)
        self._batch = next(self._batches, None)
        self._rows: list[tuple[int, str]] = []

    def take(self, row: Row[Any]) -> None:
        while self._batch is not None and row.seq > self._batch.last_seq:
            self._close(self._batch)
        if self._batch is None or row.seq < self._batch.first_seq:
            self._find(row.seq, f"put in: no batch has it ({row.verb} by {row.actor})")
        else:
            self._rows.append((row.seq, _digest(row)))

    def finish(self) -> None:
        while self._batch is not None:
            self._close(self._batch)

    def _find(self, seq: int, what: str) -> None:
        self.findings.append(Finding(seq, self.chain, what))

    def _close(self, batch: Row[Any]) -> None:
        if batch.number != self.number + 1:
            self._find(self.last_seq + 1, f"taken out: batch {self.number + 1} up to {batch.number - 1} is missing")
        else:
            self._compare(batch)
        kept = self.wanted.get((self.chain, batch.number))
        if kept is not None and kept != batch.head:
            self._find(batch.first_seq, f"rewritten: batch {batch.number} does not lead to the head kept elsewhere")
        # The stored head goes on, so that one change is found once and not in every later batch again.
        self.before, self.number, self.last_seq = batch.head, batch.number, batch.last_seq
        self._batch, self._rows = next(self._batches, None), []

    def _compare(self, batch: Row[Any]) -> None:
        found = sealed(self.before, self.chain, batch.number, self._rows)
        if found.head == batch.head and found.entries == batch.entries:
            return
        expected = dict(_entry(one) for one in batch.entries.split())
        changes = list(changed_rows(expected, {seq: digest[:SHOWN_DIGITS] for seq, digest in self._rows}))
        for seq, what in changes:
            self._find(seq, what)
        if not changes:
            rows = f"rows {batch.first_seq} to {batch.last_seq}"
            self._find(batch.first_seq, f"changed: batch {batch.number} ({rows}) does not lead to its head")


def _entry(text: str) -> tuple[int, str]:
    seq, _, digest = text.partition(":")
    return (int(seq) if seq.isdigit() else 0), digest


def changed_rows(expected: Mapping[int, str], found: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """Which rows of a batch are not what they were, and how, by seq.

    Parameters: the digests by seq that were written with the batch; those of the rows that are there now.
    """
    places = {digest: seq for seq, digest in expected.items()}
    for seq in sorted({*expected, *found}):
        if seq not in found:
            yield seq, "taken out"
        elif seq not in expected:
            yield seq, "put in"
        elif found[seq] != expected[seq]:
            came_from = places.get(found[seq])
            yield seq, "edited" if came_from is None else f"moved: what stands here was written as row {came_from}"


class _Erasures:
    """An erased text needs a later row that says who erased it and why."""

    def __init__(self) -> None:
        self._erased: dict[str | None, tuple[int, str]] = {}  # action -> its last erased row
        self._told: dict[str, int] = {}  # action -> the last row that tells of an erasure

    def take(self, row: Row[Any]) -> None:
        if row.verb == ERASING_VERB and row.action_id is not None:
            self._told[row.action_id] = row.seq
        if row.erased_digest is not None or row.detail == ERASED:
            self._erased[row.action_id] = (row.seq, chain_of(row.signal))

    def findings(self) -> list[Finding]:
        return [
            Finding(seq, chain, "erased, and no later row tells by whom")
            for action_id, (seq, chain) in self._erased.items()
            if action_id is None or self._told.get(action_id, 0) <= seq
        ]
