"""Turns Tryton's search domains into SQL over the stored records; decides, reads nothing.

Source: https://docs.tryton.org/latest/server/topics/domain.html
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from dagster_project.sandbox.tryton.fields import Field, Model
from dagster_project.sandbox.tryton.models import REGISTRY
from dagster_project.sandbox.tryton.wire import ServerError

Sql = tuple[str, list[Any]]
_COMPARISONS = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_LIKES = {
    "like": (False, False),
    "not like": (True, False),
    "ilike": (False, True),
    "not ilike": (True, True),
}
RECORD_NAMES = {
    "party.party": ("name", "code"),
    "product.product": ("name", "code"),
    "purchase.purchase": ("number", "reference"),
    "company.company": ("name",),
    "currency.currency": ("name", "code"),
    "product.uom": ("name", "symbol"),
    "res.user": ("name", "login"),
}


def domain_sql(model: Model, domain: Any) -> Sql:
    """A condition on the columns `id` and `data` of this model's records, with its parameters.

    Raises ServerError for a domain that the real server would fail on.
    """
    if not isinstance(domain, list):
        raise ServerError(f"domain is not a list: {domain!r}")
    if domain and domain[0] in ("AND", "OR"):
        return _joined(model, domain[1:], domain[0])
    if len(domain) >= 3 and isinstance(domain[0], str):
        return _clause(model, domain)
    return _joined(model, domain, "AND")


def _joined(model: Model, parts: list[Any], word: str) -> Sql:
    if not parts:
        return "1", []
    compiled = [domain_sql(model, part) for part in parts]
    return f"({f' {word.lower()} '.join(sql for sql, _ in compiled)})", [v for _, values in compiled for v in values]


def _clause(model: Model, clause: list[Any]) -> Sql:
    path, operator, value = clause[0], clause[1], clause[2]
    name, _, rest = path.partition(".")
    if name not in model.fields:
        raise ServerError(f"'{name}'")
    field = model.fields[name]
    if field.kind == "related":
        return _clause(model, [f"{field.target}{'.' + rest if rest else ''}", operator, value])
    if rest:
        return _through(model, name, field, [rest, operator, value])
    if name == "rec_name":
        return _record_name(model, operator, value)
    if field.kind == "function":
        raise ServerError(f"Missing search function on field '{name}' of '{model.name}'")
    if field.kind in ("one2many", "many2many"):
        target_clause = ["id" if not isinstance(value, str) else "rec_name", operator, value]
        return _through(model, name, field, target_clause)
    if field.kind == "many2one" and isinstance(value, str):
        return _through(model, name, field, ["rec_name", operator, value])
    if field.kind == "multiselection" and operator in ("in", "not in"):
        return _contains(name, operator, value)
    if field.kind == "char" and isinstance(value, str):
        value = value.strip()  # as in the records themselves
    return _comparison(_column(name, field), operator, value)


def _through(model: Model, name: str, field: Field, clause: list[Any]) -> Sql:
    """Follows a relation: records whose related record satisfies the clause."""
    target = REGISTRY[field.target]
    condition, values = domain_sql(target, clause)
    if field.kind == "many2one":
        inner = f"select id from tryton_records where model = ? and {condition}"
        return f"json_extract(data, '$.{name}') in ({inner})", [target.name, *values]
    if field.kind == "many2many":
        inner = f"select id from tryton_records where model = ? and {condition}"
        return f"exists (select 1 from json_each(data, '$.{name}') where value in ({inner}))", [target.name, *values]
    inner = f"select json_extract(data, '$.{field.inverse}') from tryton_records where model = ? and {condition}"
    return f"id in ({inner})", [target.name, *values]


def _record_name(model: Model, operator: str, value: Any) -> Sql:
    names = RECORD_NAMES.get(model.name, ("name",) if "name" in model.fields else ())
    if not names:
        return _comparison("cast(id as text)", operator, value)
    word = "AND" if operator.startswith(("!", "not ")) else "OR"
    return domain_sql(model, [word, *([name, operator, value] for name in names)])


def _contains(name: str, operator: str, value: Any) -> Sql:
    wanted = value if isinstance(value, list) else [value]
    marks = ", ".join("?" * len(wanted))
    negation = "not " if operator == "not in" else ""
    return f"{negation}exists (select 1 from json_each(data, '$.{name}') where value in ({marks}))", list(wanted)


def _column(name: str, field: Field) -> str:
    if name == "id":
        return "id"
    if name == "create_date":
        return "created_at"
    if name == "write_date":
        return "written_at"
    column = f"json_extract(data, '$.{name}')"
    return f"cast({column} as real)" if field.kind in ("numeric", "float", "timedelta") else column


def _comparison(column: str, operator: str, value: Any) -> Sql:
    if operator in ("in", "not in"):
        return _membership(column, operator, value)
    if operator in _LIKES:
        return _likeness(column, operator, value)
    if operator not in _COMPARISONS:
        raise ServerError(f"'{operator}'")
    if value is None:
        if operator not in ("=", "!="):
            raise ServerError(f"operator '{operator}' does not take None")
        return f"{column} is {'not ' if operator == '!=' else ''}null", []
    comparison = f"{column} {_COMPARISONS[operator]} ?"
    if operator == "!=":
        comparison = f"({comparison} or {column} is null)"
    return comparison, [operand(value)]


def _membership(column: str, operator: str, value: Any) -> Sql:
    if not isinstance(value, list):
        raise ServerError(f"'{operator}' needs a list, not {value!r}")
    marks = ", ".join("?" * len([item for item in value if item is not None]))
    condition = f"coalesce({column} in ({marks}), 0)"
    if None in value:
        condition = f"({condition} or {column} is null)"
    return f"not {condition}" if operator == "not in" else condition, [
        operand(item) for item in value if item is not None
    ]


def _likeness(column: str, operator: str, value: Any) -> Sql:
    is_negated, is_folded = _LIKES[operator]
    text, pattern = (f"lower({column})", "lower(?)") if is_folded else (column, "?")
    condition = f"coalesce({text} like {pattern} escape '\\', 0)"
    return f"not {condition}" if is_negated else condition, [str(value)]


def operand(value: Any) -> Any:
    """A value in the form in which records are stored."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, list | dict):
        raise ServerError(f"unexpected value in domain: {value!r}")
    return value
