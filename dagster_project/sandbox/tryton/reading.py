"""Finds and reads Tryton records: searches by domain, follows relations, computes what the real models compute."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from dagster_project.sandbox.store import Store
from dagster_project.sandbox.tryton.domain import domain_sql
from dagster_project.sandbox.tryton.fields import Model
from dagster_project.sandbox.tryton.models import REGISTRY
from dagster_project.sandbox.tryton.values import Stored, python_value
from dagster_project.sandbox.tryton.wire import ServerError, UserError


class RecordReader:
    """Reads records of all models from one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def search(
        self, model: Model, domain: Any, offset: int = 0, limit: int | None = None, order: Any = None
    ) -> list[int]:
        """Ids of the records that satisfy the domain; by id where no order is asked for. Raises ServerError."""
        condition, values = domain_sql(model, domain or [])
        if "active" in model.fields and not _mentions(domain or [], "active"):
            condition = f"({condition}) and coalesce(json_extract(data, '$.active'), 1)"
        rows = self._store.rows(
            f"select id from tryton_records where model = ? and {condition} order by {_ordering(model, order)}"
            " limit ? offset ?",
            [model.name, *values, -1 if limit is None else limit, offset or 0],
        )
        return [row["id"] for row in rows]

    def count(self, model: Model, domain: Any) -> int:
        """How many records satisfy the domain. Raises ServerError."""
        return len(self.search(model, domain))

    def stored(self, model: Model, ids: Iterable[int]) -> dict[int, Stored]:
        """The records with these ids, in their stored form."""
        wanted = list(ids)
        rows = self._store.rows(
            "select id, data, created_at, written_at from tryton_records"
            " where model = ? and id in (select value from json_each(?))",
            (model.name, json.dumps(wanted)),
        )
        return {
            row["id"]: Stored(row["id"], json.loads(row["data"]), row["created_at"], row["written_at"]) for row in rows
        }

    def require(self, model: Model, ids: list[int], doing: str) -> dict[int, Stored]:
        """The records with these ids. Raises UserError when one does not exist; `doing` as the real message says it."""
        found = self.stored(model, ids)
        missing = [str(record_id) for record_id in ids if record_id not in found]
        if missing:
            raise UserError(
                f'You are trying to {doing} records "{", ".join(missing)}" of "{model.label}" that don\'t exist.'
            )
        return found

    def name_of(self, model: Model, record: Stored) -> str:
        """The record's rec_name."""
        data = record.data
        if model.name == "purchase.purchase":
            reference = f"[{data['reference']}]" if data.get("reference") else ""
            return " ".join(part for part in (data.get("number"), reference) if part) or f"({record.id})"
        if model.name == "purchase.line":
            return self._line_name(data)
        if model.name == "product.product":
            template = self.stored(REGISTRY["product.template"], [data["template"]])[data["template"]]
            return f"[{data['code']}] {template.data['name']}" if data.get("code") else str(template.data["name"])
        if model.name == "company.company":
            party = REGISTRY["party.party"]
            return self.name_of(party, self.stored(party, [data["party"]])[data["party"]])
        return str(data.get("name") or data.get("value") or record.id)

    def _line_name(self, data: dict[str, Any]) -> str:
        """`2 u [SKU-1] Widget @ 1 [reference]`: how much of what, on which order."""
        unit = self.stored(REGISTRY["product.uom"], [data.get("unit") or 0]).get(data.get("unit") or 0)
        product = self.stored(REGISTRY["product.product"], [data.get("product") or 0]).get(data.get("product") or 0)
        purchase = self.stored(REGISTRY["purchase.purchase"], [data["purchase"]])[data["purchase"]]
        count = data.get("quantity") or 0
        quantity = f"{count:.{unit.data['digits']}f}\N{NO-BREAK SPACE}{unit.data['symbol']}" if unit else str(count)
        what = self.name_of(REGISTRY["product.product"], product) if product else data.get("description")
        return " ".join(filter(None, (quantity, what, "@", self.name_of(REGISTRY["purchase.purchase"], purchase))))

    def field_value(self, model: Model, record: Stored, name: str) -> Any:
        """One field of a record as a Python value. Raises ServerError for a field that does not exist."""
        field = model.fields.get(name)
        if field is None:
            raise ServerError(f"'{name}'")
        if name == "id":
            return record.id
        if name == "rec_name":
            return self.name_of(model, record)
        if name in ("create_date", "write_date"):
            moment = record.created_at if name == "create_date" else record.written_at
            return None if moment is None else datetime.fromisoformat(moment).replace(tzinfo=None)
        if field.kind == "one2many":
            order = "sequence" if "sequence" in REGISTRY[field.target].fields else "id"
            return self.search(
                REGISTRY[field.target], [[field.inverse, "=", record.id]], order=[[order, "ASC"], ["id", "ASC"]]
            )
        if field.kind == "related":
            relation, rest = field.target.split(".", 1)
            target = REGISTRY[model.fields[relation].target]
            owner_id = record.data.get(relation)
            owner = self.stored(target, [owner_id]).get(owner_id) if owner_id else None
            return None if owner is None else self.field_value(target, owner, rest)
        if field.kind == "function":
            return self._computed(model, record, name)
        return python_value(field, record.data.get(name))

    def _computed(self, model: Model, record: Stored, name: str) -> Decimal | float | None:
        if name == "moves_progress":
            return 0.0  # receipts are not the loop's
        if model.name == "purchase.line":
            return line_amount(record)
        if name == "tax_amount":
            return Decimal("0.00")
        lines = self.search(REGISTRY["purchase.line"], [["purchase", "=", record.id]])
        amounts = (line_amount(line) for line in self.stored(REGISTRY["purchase.line"], lines).values())
        return sum((amount for amount in amounts if amount is not None), Decimal("0.00"))

    def read(self, model: Model, ids: list[int], names: list[str]) -> list[dict[str, Any]]:
        """The asked fields of the records, in the order of `ids`; dotted names give the related records' fields."""
        found = self.require(model, ids, "read")
        return [self._row(model, found[record_id], names) for record_id in ids]

    def _row(self, model: Model, record: Stored, names: list[str]) -> dict[str, Any]:
        row: dict[str, Any] = {"id": record.id}
        related: dict[str, list[str]] = {}
        for name in names:
            first, _, rest = name.partition(".")
            if rest:
                related.setdefault(first, []).append(rest)
            else:
                row[name] = self.field_value(model, record, name)
        for name, rests in related.items():
            row[f"{name}."] = self._related(model, record, name, rests)
        return row

    def _related(self, model: Model, record: Stored, name: str, rests: list[str]) -> Any:
        value = self.field_value(model, record, name)
        target = REGISTRY[_target_of(model, name)]
        if isinstance(value, list):
            return self.read(target, value, rests)
        return None if value is None else self.read(target, [value], rests)[0]


def _target_of(model: Model, name: str) -> str:
    field = model.fields[name]
    if field.kind == "related":
        relation, rest = field.target.split(".", 1)
        return _target_of(REGISTRY[model.fields[relation].target], rest)
    if not field.target:
        raise ServerError(f"'{name}' is no relation")
    return field.target


def _mentions(domain: list[Any], name: str) -> bool:
    if domain and isinstance(domain[0], str) and domain[0] not in ("AND", "OR"):
        return domain[0] == name
    return any(_mentions(part, name) for part in domain if isinstance(part, list))


def _ordering(model: Model, order: Any) -> str:
    parts = []
    for name, direction in order or []:
        if name not in model.fields or model.fields[name].kind in ("function", "related", "one2many"):
            raise ServerError(f"Missing order on field '{name}' of '{model.name}'")
        column = name if name == "id" else f"json_extract(data, '$.{name}')"
        parts.append(f"{column} {'desc' if str(direction).upper().startswith('DESC') else 'asc'}")
    return ", ".join([*parts, "id"])


def line_amount(line: Stored) -> Decimal | None:
    """Quantity times unit price, in cents; None for a line that has no price."""
    if line.data.get("unit_price") is None or line.data.get("quantity") is None:
        return None
    return (Decimal(str(line.data["quantity"])) * Decimal(line.data["unit_price"])).quantize(Decimal("0.01"))
