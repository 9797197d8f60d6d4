"""Tryton: draft purchase orders and onboarding projects, found by their key before and after they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar, cast

from pydantic import Field, SecretStr

from dagster_project.contracts.destination import (
    Connection,
    Destination,
    IdempotencyClass,
    Operation,
    Outcome,
    RateLimit,
    ReasonFor,
    Request,
    SandboxAddress,
    Verdict,
)
from dagster_project.contracts.read_back import ReadBack
from dagster_project.respond.destinations.guarded_destination import GuardedDestination
from dagster_project.respond.destinations.http_transport import HttpTransport
from dagster_project.respond.destinations.outcome_mapping import malformed, retry
from dagster_project.respond.destinations.tryton_arguments import CreateOnboardingProject, CreatePurchaseOrder
from dagster_project.respond.destinations.tryton_read_back import (
    read_order,
    read_project,
    record_id,
    written_order,
    written_project,
)
from dagster_project.respond.destinations.tryton_records import TrytonRecords
from dagster_project.respond.destinations.tryton_rpc import CallRefused, Patience, TrytonRpc, decoded_number, id_in

PURCHASE = "purchase.purchase"
PROJECT = "project.work"
REMOVED = "cancelled"  # Tryton's word for an order; said of a deleted project too
_OPEN_STATES = ("draft", "quotation", "confirmed", "processing")


class TrytonConnection(Connection):
    """How to reach one database of a Tryton server."""

    base_url: str = Field(description="the server's address, such as https://erp.example.com")
    database: str = Field(description="the database's name")
    user: str = Field(description="the login of a user who has a company")
    password: SecretStr = Field(description="the user's password")
    records_url: str | None = Field(
        None, description="links become {records_url}/purchases/{id} instead of Tryton's own"
    )


def _operation(name: str, arguments: type[Any], description: str) -> Operation:
    return Operation(name, arguments, IdempotencyClass.FIND_THEN_CREATE, description=description)


class Tryton(GuardedDestination[TrytonConnection]):
    """The Tryton connector.

    Looking, preparing and creating share one call deadline, so a create begins no later than one deadline after
    `deliver` did and the server goes on no longer than `server_limit` after that; settling duplicates has a deadline of
    its own, since it creates nothing.
    """

    name = "tryton"
    role = "erp"
    connection_type: ClassVar[type[Connection]] = TrytonConnection
    operations: ClassVar[Mapping[str, Operation]] = MappingProxyType(
        {
            operation.name: operation
            for operation in (
                _operation("create_purchase_order", CreatePurchaseOrder, "make one draft purchase order"),
                _operation("create_onboarding_project", CreateOnboardingProject, "make a project with its tasks"),
            )
        }
    )
    lookups = frozenset({"open_purchase_lines"})
    rate_limit = RateLimit(calls=20, seconds=1.0)  # Tryton states none; one worker process answers some tens a second
    server_limit = 60.0  # [request] timeout of trytond, by default

    readable = frozenset({"create_purchase_order", "create_onboarding_project"})

    def __init__(self, connection: TrytonConnection) -> None:
        super().__init__(connection)
        self._transport = HttpTransport(connection.call_deadline)
        url = f"{connection.base_url.rstrip('/')}/{connection.database}/rpc/"
        sign_in = (connection.user, connection.password.get_secret_value())
        self._rpc = TrytonRpc(self._transport, url, sign_in, self.scrubber)
        self._records = TrytonRecords(self._rpc)

    @classmethod
    def sandbox_connection(cls, sandbox: SandboxAddress) -> TrytonConnection:
        """The connection to the sandbox's Tryton."""
        from dagster_project.sandbox import credentials

        return TrytonConnection(
            base_url=f"{sandbox.http_url}/tryton",
            database=credentials.TRYTON_DATABASE,
            user=credentials.TRYTON_USER,
            password=SecretStr(credentials.TRYTON_PASSWORD),
            records_url=f"{sandbox.http_url}/erp",
        )

    async def close(self) -> None:
        """Closes the connections; Tryton ends the session by itself after some idle minutes."""
        await self._transport.close()

    async def call(self, operation: str, requests: Sequence[Request]) -> Sequence[Outcome]:
        """Finds or creates the one record of each request."""
        return [await self._find_or_create(operation, request) for request in requests]

    async def find(self, operation: str, request: Request) -> Outcome | None:
        """Looks for the record by its key: delivered with its id, or known not to be there."""
        try:
            patience = Patience.of(self.connection.call_deadline)
            if not await self._found(patience, operation, request.key):
                return retry(ReasonFor.NOT_FOUND, "Tryton has no record with this key")
            return await self._settled(operation, request.key)
        except CallRefused as refused:
            return replace(refused.outcome, verdict=Verdict.UNKNOWN)

    async def read(self, lookup: str, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]] | Outcome:
        """`open_purchase_lines`: per product code, what is ordered and not yet received, and on which orders."""
        try:
            return await self._open_purchase_lines(keys)
        except CallRefused as refused:
            return refused.outcome

    async def read_record(
        self, operation: str, request: Request, external_id: str, result: Mapping[str, str]
    ) -> ReadBack | Outcome | None:
        """The order or the project by Tryton's id, and how many records carry the key."""
        patience = Patience.of(self.connection.call_deadline)
        try:
            carriers = await self._found(patience, operation, request.key)
            if operation == "create_purchase_order":
                written = written_order(cast(CreatePurchaseOrder, request.arguments), request.key)
                return await read_order(self._rpc, patience, record_id(external_id), written, carriers)
            written = written_project(cast(CreateOnboardingProject, request.arguments), request.key)
            return await read_project(self._rpc, patience, record_id(external_id), written, len(carriers))
        except CallRefused as refused:
            return refused.outcome

    async def _find_or_create(self, operation: str, request: Request) -> Outcome:
        patience = Patience.of(self.connection.call_deadline)
        try:
            if not await self._found(patience, operation, request.key):
                await self._create(patience, operation, request)
            return await self._settled(operation, request.key)
        except CallRefused as refused:
            return refused.outcome

    async def _found(self, patience: Patience, operation: str, key: str) -> list[int]:
        """Ids of the records that carry the key, cancelled ones included, lowest first."""
        company = await self._rpc.company(patience)
        if operation == "create_purchase_order":
            return await self._rpc.search(patience, PURCHASE, [["reference", "=", key], ["company", "=", company]])
        return await self._rpc.search(patience, PROJECT, [["comment", "=", key], ["company", "=", company]])

    async def _create(self, patience: Patience, operation: str, request: Request) -> None:
        if operation == "create_purchase_order":
            order = cast(CreatePurchaseOrder, request.arguments)
            values = await self._records.purchase_values(patience, request.key, order)
            await self._rpc.create(patience, PURCHASE, values)
            return
        project = cast(CreateOnboardingProject, request.arguments)
        values = await self._records.project_values(patience, request.key, project)
        await self._rpc.create(patience, PROJECT, values)

    async def _settled(self, operation: str, key: str) -> Outcome:
        """Looks once more and leaves one record; it exists by now, so a failure here says no more than `unknown`."""
        patience = Patience.of(self.connection.call_deadline)
        try:
            ids = await self._found(patience, operation, key)
            if not ids:
                raise CallRefused(retry(ReasonFor.NOT_FOUND, "the record is gone again; someone deleted it in Tryton"))
            if operation == "create_purchase_order":
                return await self._settled_purchase(patience, ids)
            return await self._settled_project(patience, ids)
        except CallRefused as refused:
            return replace(refused.outcome, verdict=Verdict.UNKNOWN)

    async def _settled_purchase(self, patience: Patience, ids: Sequence[int]) -> Outcome:
        names = ["id", "state", "number", "untaxed_amount"]
        orders = sorted(await self._rpc.read(patience, PURCHASE, ids, names), key=id_in)
        if not orders:
            raise CallRefused(malformed(200, f"the rows of {PURCHASE} that were just found are not in it"))
        living = [order for order in orders if order.get("state") != "cancelled"]
        kept = (living or orders)[0]
        others = {id_in(order): str(order.get("state")) for order in living if order is not kept}
        left = {
            one: await self._cancelled(patience, one) if state == "draft" else state for one, state in others.items()
        }
        number = kept.get("number")
        told = duplicates_told("order", left)
        if kept.get("state") == "cancelled":
            told = f"order {kept['id']} was cancelled in Tryton; it is not made again"
        return Outcome(
            Verdict.DELIVERED,
            detail=told,
            external_id=str(kept["id"]),
            url=self._url_of("purchases", PURCHASE, id_in(kept)),
            result={
                "purchase_id": str(kept["id"]),
                "total": str(decoded_number(kept.get("untaxed_amount"))),
                **({"number": str(number)} if number else {}),
                **_counted(left),
            },
        )

    async def _cancelled(self, patience: Patience, order: int) -> str:
        """Cancels a duplicate draft and gives the state it is in afterwards."""
        try:
            await self._rpc.call(patience, f"model.{PURCHASE}.cancel", [order])
        except CallRefused as refused:
            if refused.outcome.verdict is not Verdict.REJECTED:
                raise  # the next attempt finds the duplicate again
            rows = await self._rpc.read(patience, PURCHASE, [order], ["id", "state"])
            return str(rows[0].get("state")) if rows else REMOVED  # another process may have cancelled it meanwhile
        return REMOVED

    async def _settled_project(self, patience: Patience, ids: Sequence[int]) -> Outcome:
        project_id = ids[0]
        left = {duplicate: await self._deleted(patience, duplicate) for duplicate in ids[1:]}
        tasks = await self._rpc.search(patience, PROJECT, [["parent", "=", project_id]])
        return Outcome(
            Verdict.DELIVERED,
            detail=duplicates_told("project", left),
            external_id=str(project_id),
            url=self._url_of("projects", PROJECT, project_id),
            result={"project_id": str(project_id), "tasks": str(len(tasks)), **_counted(left)},
        )

    async def _deleted(self, patience: Patience, project: int) -> str:
        """Deletes a duplicate project on which nobody has worked, since Tryton's projects know no cancelling."""
        works = [*await self._rpc.search(patience, PROJECT, [["parent", "=", project]]), project]
        rows = await self._rpc.read(patience, PROJECT, works, ["id", "progress"])
        if any(row.get("progress") for row in rows):
            return "begun"
        try:
            await self._rpc.call(patience, f"model.{PROJECT}.delete", works)
        except CallRefused as refused:
            if refused.outcome.verdict is not Verdict.REJECTED:
                raise  # the next attempt finds the duplicate again
            still_there = await self._rpc.search(patience, PROJECT, [["id", "=", project]])
            return "refused" if still_there else REMOVED
        return REMOVED

    async def _open_purchase_lines(self, codes: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        patience = Patience.of(self.connection.call_deadline)
        products = await self._records.codes_by_product(patience, codes)
        domain = [["product", "in", list(products)], ["purchase.state", "in", list(_OPEN_STATES)]]
        line_ids = await self._rpc.search(patience, "purchase.line", domain) if products else []
        lines = await self._rpc.read(patience, "purchase.line", line_ids, ["id", "product", "quantity", "purchase"])
        orders = sorted({id_in(line, "purchase") for line in lines})
        rows = await self._rpc.read(patience, PURCHASE, orders, ["id", "reference", "number", "state"])
        order_of = {id_in(row): row for row in rows}
        # Goods come in only while an order is processed; before that all of it is still to come.
        moving = [id_in(line) for line in lines if _is_processing(order_of.get(id_in(line, "purchase")))]
        progress = await self._rpc.read(patience, "purchase.line", moving, ["id", "moves_progress"])
        received = {id_in(row): row.get("moves_progress") for row in progress}
        found: dict[str, dict[str, Any]] = {code: {"quantity": "0", "references": []} for code in codes}
        for line in lines:
            code = products.get(id_in(line, "product"))
            if code is None:
                raise CallRefused(malformed(200, "a purchase line is about a product that was not asked for"))
            entry = found[code]
            still_open = open_quantity(line.get("quantity"), received.get(id_in(line)))
            entry["quantity"] = f"{(Decimal(entry['quantity']) + still_open).normalize():f}"
            entry["references"] = sorted({*entry["references"], _name_of(order_of.get(id_in(line, "purchase")))})
        return found

    def _url_of(self, kind: str, model: str, record_id: int) -> str:
        if self.connection.records_url is not None:
            return f"{self.connection.records_url}/{kind}/{record_id}"
        base = self.connection.base_url.rstrip("/")
        return f"{base}/#{self.connection.database}/model/{model}/{record_id}"


def duplicates_told(what: str, left: Mapping[int, str]) -> str:
    """What a person should know of the duplicates, given the state each was left in; empty where there were none."""
    removed = [str(one) for one, state in left.items() if state == REMOVED]
    told = [f"removed {len(removed)} duplicate {what}(s): {', '.join(removed)}"] if removed else []
    told += [
        f"{what} {one} has the same key and could not be removed: it is {state}; settle it in Tryton"
        for one, state in left.items()
        if state != REMOVED
    ]
    return "; ".join(told)


def _counted(left: Mapping[int, str]) -> dict[str, str]:
    removed = sum(state == REMOVED for state in left.values())
    return {"duplicates_removed": str(removed)} if removed else {}


def open_quantity(ordered: Any, received_share: Any) -> Decimal:
    """What is still to come of a line. Tryton gives the share received as `moves_progress`, 0 to 1, or nothing."""
    share = min(Decimal(1), max(Decimal(0), decoded_number(received_share or 0)))
    return decoded_number(ordered) * (1 - share)


def _is_processing(order: Mapping[str, Any] | None) -> bool:
    return order is not None and order.get("state") == "processing"


def _name_of(order: Mapping[str, Any] | None) -> str:
    """What a person calls an order: its number once it has one, else our reference, else its id."""
    return "unknown" if order is None else str(order.get("number") or order.get("reference") or order["id"])


DESTINATION: type[Destination] = Tryton
