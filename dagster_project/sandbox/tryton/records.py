"""Creates, writes and deletes Tryton records, with the checks that the real server makes on them."""

from __future__ import annotations

import json
from typing import Any

from dagster_project.sandbox.store import now_text
from dagster_project.sandbox.tryton.checks import RecordChecks
from dagster_project.sandbox.tryton.fields import Field, Model
from dagster_project.sandbox.tryton.models import REGISTRY
from dagster_project.sandbox.tryton.values import Stored, stored_value
from dagster_project.sandbox.tryton.wire import ServerError, UserError
from dagster_project.sandbox.world import World

# the models whose changes are effects, each with the field that carries an idempotency key
_KEY_OF = {
    "purchase.purchase": "reference",
    "project.work": "comment",
    "party.party": "code",
    "product.product": "code",
}


class Records(RecordChecks):
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
        record_id = self._next_id(model)
        self._complete_by_id(model, filled, record_id)
        self.check(model, filled, record_id, is_new=True)
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
        self.check_writable(model, found.values(), known)
        relations = {name: known.pop(name) for name in list(known) if model.fields[name].kind == "one2many"}
        for record_id in ids:
            data = dict(found[record_id].data)
            self.check(model, known, record_id, is_new=False)
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
        self.check_unused(model, ids)
        for record_id in ids:
            if model.name == "purchase.purchase" and found[record_id].data.get("state") not in ("cancelled",):
                raise UserError(f'To delete purchase "{self.name_of(model, found[record_id])}" you must cancel it.')
            for field in model.fields.values():
                if field.kind == "one2many" and field.target != model.name:
                    target = REGISTRY[field.target]
                    children = self.search(target, [[field.inverse, "=", record_id]])
                    if children:
                        self.delete(target, children)
            self._store.run("delete from tryton_records where model = ? and id = ?", (model.name, record_id))
            self._note(model, record_id, "delete", found[record_id].data, is_created=False)

    def _note(self, model: Model, record_id: int, operation: str, data: dict[str, Any], *, is_created: bool) -> None:
        if not self._is_counted or model.name not in _KEY_OF:
            return
        given = data.get(_KEY_OF[model.name])
        key = str(given) if given else None
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
                raise ServerError(f"'{name}'")
            if model.fields[name].is_given:
                label = model.fields[name].label
                raise UserError(f'You are not allowed to modify the field "{label}" of "{model.label}".')
        ignored = ("function", "related")
        return {
            name: value for name, value in values.items() if model.fields[name].kind not in ignored and name != "id"
        }

    def _defaults(self, model: Model, context: dict[str, Any]) -> dict[str, Any]:
        given = {name: field.default for name, field in model.fields.items() if field.default is not None}
        if "company" in model.fields and model.name != "res.user":
            given["company"] = context.get("company")
        return given

    def _complete_by_id(self, model: Model, values: dict[str, Any], record_id: int) -> None:
        """What a sequence of the real server gives, which here runs with the ids."""
        if model.name == "project.work":
            values["number"] = str(record_id)

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
