"""What a model of Tryton consists of: fields of a kind, some required, some unique, some leading to other models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "char",
    "text",
    "integer",
    "float",
    "numeric",
    "boolean",
    "date",
    "datetime",
    "timedelta",
    "selection",
    "multiselection",
    "many2one",
    "one2many",
    "many2many",
    "related",
    "function",
]


@dataclass(frozen=True)
class Field:
    """One field.

    `target` is a model (relations) or a dotted path (related); `inverse` the many2one of a one2many; `digits` the most
    decimal places of a number; `is_given` says that the server alone sets it.
    """

    kind: Kind
    label: str
    target: str = ""
    inverse: str = ""
    is_required: bool = False
    is_unique: bool = False
    options: tuple[str, ...] = ()
    default: Any = None
    digits: int | None = None
    is_given: bool = False


@dataclass(frozen=True)
class Model:
    """One model; `page` is the path of a record's page, with {id}."""

    name: str
    label: str
    fields: dict[str, Field]
    buttons: frozenset[str] = frozenset()
    page: str = ""
