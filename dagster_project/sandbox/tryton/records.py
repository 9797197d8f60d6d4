"""Creates, writes and deletes Tryton records, with the checks that the real server makes on them."""

from __future__ import annotations

import json
from typing import Any

from dagster_project.sandbox.store import now_text
from dagster_project.sandbox.tryton.domain import domain_sql
from dagster_project.sandbox.tryton.fields import Field, Model
from dagster_project.sandbox.tryton.models import REGISTRY
from dagster_project.sandbox.tryton.reading import RecordReader
from dagster_project.sandbox.tryton.values import Stored, stored_value
from dagster_project.sandbox.tryton.wire import ServerError, UserError
from dagster_project.sandbox.world import World

_KEYS = ("reference", "number", "code", "comment")  # the fields that carry an idempotency key, first come first taken
_NOTED = {"purchase.purchase", "project.work", "party.party", "product.product"}
_UNIQUE_MESSAGES = {
    ("party.party", "code"): "The code on party must be unique.",
    ("project.work", "number"): "The number on work must be unique.",
    ("res.user", "login"): "You can not have two users with the same login!",
}


class Records(RecordReader):
    """Reads and writes records of all models; with `is_counted` false its writes are no effects."""

    def __init__(self, world: World, *, is_counted: bool = True) -> None:
        self._world = world
        self._is_counted = is_counted
        super().__init__(world.store)

    def create(self, model: Model, values: dict[str, Any], context: dict[str, Any]) -> int:
        """Makes one record and those given with it by x2many commands. Raises UserError, ServerError."""
        known = self._known(model, values)
        filled = self._defaults(model, context) | known
        self._complete(model, filled)
        relations = {name: filled.pop(name) for name in list(filled) if model.fields[name].kind == "one2many"}
        self._check(model, filled, None)
        record_id = self._next_id(model)
        data = {name: stored_value(model.fields[name], value) for name, value in filled.items() if value is not None}
        self._store.run(
            "insert into tryton_records values (?, ?, ?, ?, null)",
            (model.name, record_id, json.dumps(data, ensure_ascii=False), now_text()),
        )
        for name, commands in relations.items():
            self._command(model.fields[name], record_id, commands or [], context)
        self._note(model, record_id, "create", data, is_created=True)
        return record_id

    def write(self, model: Model, ids: list[int], values: dict[str, Any], context: dict[str, Any]) -> None:
        """Changes the given fields of the records. Raises UserError, ServerError."""
        known = self._known(model, values)
        found = self.require(model, ids, "write to")
        relations = {name: known.pop(name) for name in list(known) if model.fields[name].kind == "one2many"}
        for record_id in ids:
            data = dict(found[record_id].data)
            self._check(model, known, record_id)
            for name, value in known.items():
                field = model.fields[name]
                if field.kind == "many2many":
                    value = _changed_ids(data.get(name, []), value)
                data[name] = stored_value(field, value)
            self.put(model, record_id, {name: value for name, value in data.items() if value is not None})
            for name, commands in relations.items():
                self._command(model.fields[name], record_id, commands or [], context)
            self._note(model, record_id, "write", data, is_created=False)

    def put(self, model: Model, record_id: int, data: dict[str, Any]) -> None:
        """Replaces a record's stored form."""
        self._store.run(
            "update tryton_records set data = ?, written_at = ? where model = ? and id = ?",
            (json.dumps(data, ensure_ascii=False), now_text(), model.name, record_id),
        )

    def delete(self, model: Model, ids: list[int]) -> None:
        """Deletes records and what belongs to them. Raises UserError."""
        found = self.require(model, ids, "delete")
        for record_id in ids:
            if model.name == "purchase.purchase" and found[record_id].data.get("state") not in ("cancelled",):
                raise UserError(f'To delete purchase "{self.name_of(model, found[record_id])}" you must cancel it.')
            for field in model.fields.values():
                if field.kind == "one2many":
                    target = REGISTRY[field.target]
                    children = self.search(target, [[field.inverse, "=", record_id]])
                    if children:
                        self.delete(target, children)
            self._store.run("delete from tryton_records where model = ? and id = ?", (model.name, record_id))
            self._note(model, record_id, "delete", found[record_id].data, is_created=False)

    def _note(self, model: Model, record_id: int, operation: str, data: dict[str, Any], *, is_created: bool) -> None:
        if not self._is_counted or model.name not in _NOTED:
            return
        key = next((str(data[name]) for name in _KEYS if data.get(name) and name in model.fields), None)
        path = model.page.format(id=record_id) or None
        where = f"{model.name}/{record_id}"
        self._world.effect("tryton", f"{model.name}.{operation}", where, key=key, is_created=is_created, path=path)

    def noted(self, model: Model, record: Stored, operation: str) -> None:
        """Records that a button changed a record."""
        self._note(model, record.id, operation, record.data, is_created=False)

    def _next_id(self, model: Model) -> int:
        row = self._store.one(
            "insert into tryton_sequences values (?, 1) on conflict (model) do update set last_id = last_id + 1"
            " returning last_id",
            (model.name,),
        )
        assert row is not None  # returning always gives the row
        return int(row["last_id"])

    def _known(self, model: Model, values: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(values, dict):
            raise ServerError(f"values are no mapping: {values!r}")
        for name in values:
            if name not in model.fields:
                raise ServerError(f"'{model.name}' has no field '{name}'")
        ignored = ("function", "related")
        return {
            name: value for name, value in values.items() if model.fields[name].kind not in ignored and name != "id"
        }

    def _defaults(self, model: Model, context: dict[str, Any]) -> dict[str, Any]:
        given = {name: field.default for name, field in model.fields.items() if field.default is not None}
        if "company" in model.fields and model.name != "res.user":
            given["company"] = context.get("company")
        return given

    def _complete(self, model: Model, values: dict[str, Any]) -> None:
        """What the real models fill in themselves."""
        if model.name == "party.party" and not values.get("code"):
            last = self._store.value("select last_id from tryton_sequences where model = 'party.party'")
            values["code"] = str((last or 0) + 1)
        if model.name == "purchase.purchase" and not values.get("currency") and values.get("company"):
            company = self.stored(REGISTRY["company.company"], [values["company"]]).get(values["company"])
            values["currency"] = company.data.get("currency") if company else None
        if model.name == "project.work" and not values.get("status"):
            domain = [["types", "in", values.get("type")], ["default", "=", True]]
            values["status"] = next(iter(self.search(REGISTRY["project.work.status"], domain, limit=1)), None)
        if model.name == "product.product":
            template = self.stored(REGISTRY["product.template"], [values.get("template") or 0]).get(values["template"])
            prefix = template.data.get("code", "") if template else ""
            values["code"] = f"{prefix}{values.get('suffix_code') or ''}" or None

    def _check(self, model: Model, values: dict[str, Any], record_id: int | None) -> None:
        for name, field in model.fields.items():
            is_absent = values.get(name) is None or values.get(name) == ""
            if field.is_required and is_absent and (record_id is None or name in values):
                raise UserError(f'A value is required for field "{field.label}" in "{model.label}".')
            if name in values and not is_absent:
                self._check_value(model, name, field, values[name], record_id)
        if model.name == "purchase.line" and record_id is None:
            self._check_line(model, values)

    def _check_value(self, model: Model, name: str, field: Field, value: Any, record_id: int | None) -> None:
        if field.kind == "many2one" and value not in self.stored(REGISTRY[field.target], [value]):
            raise UserError(f'The value "{value}" for field "{field.label}" in "{model.label}" does not exist.')
        if field.kind == "selection" and value not in field.options:
            raise UserError(
                f'The value "{value}" for field "{field.label}" in record "{record_id or -1}" of "{model.label}"'
                " is not one of the allowed options."
            )
        if field.is_unique:
            domain = [[name, "=", value], ["id", "!=", record_id or -1]]
            if self._store.value(*_exists(model, domain)):
                default = f"The {field.label.lower()} on {model.label.lower()} must be unique."
                raise UserError(_UNIQUE_MESSAGES.get((model.name, name), default))

    def _check_line(self, model: Model, values: dict[str, Any]) -> None:
        purchase = self.stored(REGISTRY["purchase.purchase"], [values["purchase"]])[values["purchase"]]
        if purchase.data.get("state") != "draft":
            name = self.name_of(REGISTRY["purchase.purchase"], purchase)
            raise UserError(f'You cannot add lines to purchase "{name}" because it is no longer in a draft state.')
        if values.get("type") != "line":
            return
        for needed in ("quantity", "unit_price"):
            if values.get(needed) is None:
                raise UserError(f'A value is required for field "{model.fields[needed].label}" in "{model.label}".')
        if values.get("product") and values.get("unit") is None:
            raise UserError(f'A value is required for field "Unit" in "{model.label}".')

    def _command(self, field: Field, owner_id: int, commands: list[Any], context: dict[str, Any]) -> None:
        """Carries out x2many commands: create, add, remove, delete, write."""
        target = REGISTRY[field.target]
        for command in commands:
            action, given = command[0], list(command[1:])
            if action == "create":
                for values in given[0]:
                    self.create(target, {**values, field.inverse: owner_id}, context)
            elif action == "add":
                self.write(target, given[0], {field.inverse: owner_id}, context)
            elif action == "delete":
                self.delete(target, given[0])
            elif action == "write":
                for ids, values in zip(given[::2], given[1::2], strict=True):
                    self.write(target, ids, values, context)
            elif action == "remove":
                for record_id, record in self.require(target, given[0], "write to").items():
                    self.put(target, record_id, {k: v for k, v in record.data.items() if k != field.inverse})
            else:
                raise ServerError(f"unknown command '{action}'")


def _exists(model: Model, domain: list[Any]) -> tuple[str, list[Any]]:
    condition, values = domain_sql(model, domain)
    return f"select 1 from tryton_records where model = ? and {condition} limit 1", [model.name, *values]


def _changed_ids(before: list[int], commands: Any) -> list[int]:
    ids = list(before)
    for action, given in commands or []:
        if action == "add":
            ids += [item for item in given if item not in ids]
        elif action == "remove":
            ids = [item for item in ids if item not in given]
        else:
            raise ServerError(f"unknown command '{action}'")
    return ids
