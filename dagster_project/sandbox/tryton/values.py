"""Field values as stored and as Python values: decimals and moments are text in the file, so nothing is rounded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from dagster_project.sandbox.tryton.fields import Field
from dagster_project.sandbox.tryton.wire import ServerError


@dataclass(frozen=True)
class Stored:
    """One record in its stored form; the moments are ISO 8601 in UTC."""

    id: int
    data: dict[str, Any]
    created_at: str
    written_at: str | None


_PLAIN: dict[str, tuple[type, ...]] = {
    "char": (str,),
    "text": (str,),
    "integer": (int,),
    "float": (int, float),
    "boolean": (bool, int),
    "selection": (str,),
    "multiselection": (list,),
    "many2one": (int,),
    "many2many": (list,),
}


def stored_value(field: Field, value: Any) -> Any:
    """A Python value in its stored form. Raises ServerError for a value of the wrong type, as the real server does."""
    if value is None:
        return None
    if field.kind == "numeric":
        if not isinstance(value, Decimal):
            raise ServerError(f'The value "{value!r}" of field "{field.label}" is no Decimal')
        return str(value)
    if field.kind in ("date", "datetime") and isinstance(value, date | datetime):
        return value.isoformat()
    if field.kind == "timedelta" and isinstance(value, timedelta):
        return value.total_seconds()
    if field.kind == "char" and isinstance(value, str):
        return value.strip()
    if isinstance(value, _PLAIN.get(field.kind, ())):
        return value
    raise ServerError(f'The value "{value!r}" of field "{field.label}" has the wrong type')


def python_value(field: Field, value: Any) -> Any:
    """A stored value as a Python value."""
    if value is None:
        return [] if field.kind in ("multiselection", "many2many") else None
    if field.kind == "numeric":
        return Decimal(value)
    if field.kind == "date":
        return date.fromisoformat(value)
    if field.kind == "datetime":
        return datetime.fromisoformat(value)
    if field.kind == "timedelta":
        return timedelta(seconds=value)
    return value
