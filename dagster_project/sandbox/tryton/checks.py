"""What the real server checks before it keeps, changes, moves on or deletes a record, in its own words.

Source: trytond 8.2, trytond/model/modelstorage.py and modelview.py; modules party, product, purchase, project.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from dagster_project.sandbox.tryton.fields import Field, Model
from dagster_project.sandbox.tryton.models import REGISTRY
from dagster_project.sandbox.tryton.reading import RecordReader
from dagster_project.sandbox.tryton.values import Stored
from dagster_project.sandbox.tryton.wire import UserError

_FORBIDDEN = "\t\n\r\x0b\x0c"  # in fields of one line
_UNIQUE_MESSAGES = {
    ("party.party", "code"): "The code on party must be unique.",
    ("res.user", "login"): "You can not have two users with the same login!",
}
# The fields of an order that only a draft lets anybody change, and that decides which field is named first.
_FROZEN = ("description", "company", "party", "currency", "invoice_address", "lines", "invoice_method", "delivery_date")


class RecordChecks(RecordReader):
    """Refuses with UserError what the real models refuse."""

    def check(self, model: Model, values: dict[str, Any], record_id: int, *, is_new: bool) -> None:
        """The values of a record that is about to be kept; those of a changed one are the changed ones."""
        record = Stored(record_id, values if is_new else self._merged(model, record_id, values), "", None)
        for name, field in model.fields.items():
            is_absent = values.get(name) is None or values.get(name) == ""
            if field.is_required and is_absent and (is_new or name in values):
                raise UserError(self._lacks(model, field, record))
            if name in values and not is_absent:
                self._check_value(model, name, field, values[name], record)
        if model.name == "purchase.line" and is_new:
            self._check_line(model, record)
        if model.name == "product.product":
            self._check_code(record)

    def _merged(self, model: Model, record_id: int, values: dict[str, Any]) -> dict[str, Any]:
        return self.stored(model, [record_id])[record_id].data | values

    def _lacks(self, model: Model, field: Field, record: Stored) -> str:
        place = f'record "{self._name_for(model, record)}" of "{model.label}"'
        return f'A value is required for field "{field.label}" in {place}.'

    def _name_for(self, model: Model, record: Stored) -> str:
        """The record's name as far as it has one: what is missing may be part of it."""
        try:
            return self.name_of(model, record)
        except KeyError:
            return str(record.id)

    def _check_value(self, model: Model, name: str, field: Field, value: Any, record: Stored) -> None:
        place = f'field "{field.label}" in record "{self._name_for(model, record)}" of "{model.label}"'
        if field.kind == "many2one" and value not in self.stored(REGISTRY[field.target], [value]):
            raise UserError(f'The value "{value}" for field "{field.label}" in "{model.label}" does not exist.')
        if field.kind == "selection" and value not in field.options:
            raise UserError(f'The value "{value}" for {place} is not one of the allowed options.')
        if field.kind == "char" and isinstance(value, str) and (bad := sorted(set(value.strip()) & set(_FORBIDDEN))):
            shown = ", ".join(map(repr, bad))
            raise UserError(f'The value "{value}" for {place} contains some invalid chars "{shown}".')
        if field.digits is not None and _places(value) > field.digits:
            raise UserError(_too_fine(value, place, field.digits))
        if field.is_unique and self.search(model, [[name, "=", value], ["id", "!=", record.id]], limit=1):
            default = f"The {field.label.lower()} on {model.label.lower()} must be unique."
            raise UserError(_UNIQUE_MESSAGES.get((model.name, name), default))

    def _check_line(self, model: Model, record: Stored) -> None:
        values = record.data
        purchase = self.stored(REGISTRY["purchase.purchase"], [values["purchase"]])[values["purchase"]]
        place = f'in record "{self.name_of(model, record)}" of "{model.label}"'
        if purchase.data.get("state") != "draft":
            raise UserError(f'You are not allowed to modify the field "Type" {place}.')
        if values.get("type") != "line":
            return
        if values.get("quantity") is None:
            raise UserError(self._lacks(model, model.fields["quantity"], record))
        if values.get("product") and values.get("unit") is None:
            raise UserError(self._lacks(model, model.fields["unit"], record))
        unit = self.stored(REGISTRY["product.uom"], [values.get("unit") or 0]).get(values.get("unit") or 0)
        if unit is not None and _places(values["quantity"]) > unit.data["digits"]:
            raise UserError(_too_fine(values["quantity"], f'field "Quantity" {place}', unit.data["digits"]))

    def _check_code(self, record: Stored) -> None:
        code = record.data.get("code")
        others = [["code", "=", code], ["id", "!=", record.id]]
        if code and self.search(REGISTRY["product.product"], others, limit=1):
            raise UserError("Code of active product must be unique.")

    def check_writable(self, model: Model, records: Iterable[Stored], values: dict[str, Any]) -> None:
        """An order that is no draft any more keeps what it says."""
        for record in records if model.name == "purchase.purchase" else ():
            frozen = next((name for name in _FROZEN if name in values), None)
            if frozen is not None and record.data.get("state") != "draft":
                place = f'record "{self.name_of(model, record)}" of "{model.label}"'
                label = model.fields[frozen].label
                raise UserError(f'You are not allowed to modify the field "{label}" in {place}.')

    def check_unused(self, model: Model, ids: Sequence[int]) -> None:
        """A work whose tasks stay is not deleted."""
        parents = [["parent", "in", list(ids)], ["id", "not in", list(ids)]]
        if model.name == "project.work" and self.search(model, parents, limit=1):
            raise UserError(
                f'The records could not be deleted because they are used by field "Parent" of "{model.label}".'
            )

    def pressable(
        self, model: Model, button: str, ids: Sequence[int], allowed_from: frozenset[str]
    ) -> dict[int, Stored]:
        """The records on all of which the button may be pressed now."""
        found = self.stored(model, ids)
        for record_id in ids:
            record = found.get(record_id)
            name = str(record_id) if record is None else self.name_of(model, record)
            if record is None or not self._shows(model, button, record, allowed_from):
                raise UserError(f'You can not call "{button}" on "{name}" of "{model.label}".')
            if button == "confirm" and not record.data.get("invoice_address"):
                raise UserError(self._lacks(model, model.fields["invoice_address"], record))
        return found

    def _shows(self, model: Model, button: str, record: Stored, allowed_from: frozenset[str]) -> bool:
        has_lines = bool(self.field_value(model, record, "lines"))
        return record.data.get("state") in allowed_from and (button != "quote" or has_lines)


def _places(number: Any) -> int:
    """Decimal places of a number; 0 for a whole one, whatever it is written as."""
    exponent = Decimal(str(number)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _too_fine(value: Any, place: str, digits: int) -> str:
    return f'The number of digits in the value "\'{value}\'" for {place} exceeds the limit of "(None, {digits})".'
