"""Search domains mean the same in SQL as in plain Python, and values come back from the file as they went in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.sandbox.store import Store
from dagster_project.sandbox.tryton.domain import domain_sql
from dagster_project.sandbox.tryton.fields import Field
from dagster_project.sandbox.tryton.models import REGISTRY
from dagster_project.sandbox.tryton.values import python_value, stored_value
from dagster_project.sandbox.tryton.wire import ServerError, decoded, encoded

PURCHASE, LINE, PARTY = (REGISTRY[name] for name in ("purchase.purchase", "purchase.line", "party.party"))
PARTIES = [{"code": "A", "name": "Ann"}, {"code": "B", "name": "bob"}, {"code": "C", "name": None}]
PURCHASES = [
    {"reference": reference, "party": party, "state": state}
    for reference, party, state in (("r1", 1, "draft"), ("R1", 2, "draft"), ("r_2", 2, "cancelled"), (None, 3, "draft"))
]
LINES = [{"purchase": 1, "quantity": 1.0}, {"purchase": 1, "quantity": 5.0}, {"purchase": 3, "quantity": 9.5}]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store(Path(tmp_path_factory.mktemp("domains")) / "sandbox.sqlite3")
    with opened.change():
        for model, rows in ((PARTY, PARTIES), (PURCHASE, PURCHASES), (LINE, LINES)):
            for record_id, row in enumerate(rows, 1):
                data = json.dumps({name: value for name, value in row.items() if value is not None})
                opened.run("insert into tryton_records values (?, ?, ?, '', null)", (model.name, record_id, data))
    yield opened
    opened.close()


def found(store: Store, model: Any, domain: list[Any]) -> list[int]:
    condition, values = domain_sql(model, domain)
    sql = f"select id from tryton_records where model = ? and {condition} order by id"
    return [row["id"] for row in store.rows(sql, [model.name, *values])]


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda have, want: have == want,
    "!=": lambda have, want: have != want,
    "in": lambda have, want: have in want,
    "not in": lambda have, want: have not in want,
}
REFERENCES = st.sampled_from(["r1", "R1", "r_2", None, "zz"])
STATES = st.sampled_from(["draft", "cancelled"])
CLAUSES = st.one_of(
    st.tuples(st.just("reference"), st.sampled_from(["=", "!="]), REFERENCES),
    st.tuples(st.just("reference"), st.sampled_from(["in", "not in"]), st.lists(REFERENCES, max_size=3)),
    st.tuples(st.just("party"), st.sampled_from(["=", "!="]), st.integers(1, 4)),
    st.tuples(st.just("state"), st.sampled_from(["=", "!="]), STATES),
).map(list)
DOMAINS = st.recursive(
    CLAUSES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: ["OR", *parts]),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: ["AND", *parts]),
    ),
    max_leaves=8,
)


def holds(domain: list[Any], row: dict[str, Any]) -> bool:
    if domain and domain[0] == "OR":
        return any(holds(part, row) for part in domain[1:])
    if domain and isinstance(domain[0], str) and domain[0] != "AND":
        name, operator, value = domain
        return COMPARE[operator](row[name], value)
    return all(holds(part, row) for part in domain if part != "AND")


@given(domain=DOMAINS)
def test_a_domain_means_the_same_in_sql_as_in_python(store: Store, domain: list[Any]) -> None:
    expected = [record_id for record_id, row in enumerate(PURCHASES, 1) if holds(domain, row)]
    assert found(store, PURCHASE, domain) == expected


@pytest.mark.parametrize(
    ("model", "domain", "expected"),
    [
        (PURCHASE, [["party.code", "=", "B"]], [2, 3]),
        (PURCHASE, [["party", "=", "ann"]], []),
        (PURCHASE, [["party", "ilike", "ann"]], [1]),
        (PURCHASE, [["lines.quantity", ">", 4]], [1, 3]),
        (PURCHASE, [["lines", "=", 3]], [3]),
        (PURCHASE, [["reference", "like", "r%"]], [1, 3]),
        (PURCHASE, [["reference", "ilike", "r1"]], [1, 2]),
        (PURCHASE, [["reference", "not ilike", "r1"]], [3, 4]),
        (PURCHASE, [["reference", "like", "r\\_%"]], [3]),
        (LINE, [["purchase.party.name", "=", "Ann"], ["quantity", "<=", 1]], [1]),
        (LINE, [["purchase.reference", "=", None]], []),
        (PARTY, [["rec_name", "=", "B"]], [2]),
        (PARTY, [["rec_name", "!=", "B"]], [1, 3]),
        (PARTY, ["OR", ["id", "=", 1], [["id", ">", 2]]], [1, 3]),
        (PARTY, [], [1, 2, 3]),
    ],
)
def test_relations_names_and_patterns(store: Store, model: Any, domain: list[Any], expected: list[int]) -> None:
    assert found(store, model, domain) == expected


@pytest.mark.parametrize(
    "domain",
    [
        "reference = 1",
        [["no_such", "=", 1]],
        [["reference", "~", "x"]],
        [["reference", "<", None]],
        [["reference", "in", "r1"]],
        [["reference", "=", {"a": 1}]],
        [["untaxed_amount", ">", 3]],
    ],
)
def test_a_domain_that_tryton_fails_on_fails_here(domain: Any) -> None:
    with pytest.raises(ServerError):
        domain_sql(PURCHASE, domain)


@given(text=st.text(max_size=20))
def test_no_text_breaks_out_of_a_domain(store: Store, text: str) -> None:
    assert found(store, PURCHASE, [["reference", "=", text]]) == [
        record_id for record_id, row in enumerate(PURCHASES, 1) if row["reference"] == text
    ]


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.text(),
        st.decimals(allow_nan=False, allow_infinity=False),
        st.dates(),
        st.datetimes(),
        st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=9)).map(lambda d: timedelta(seconds=d.seconds)),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(value=VALUES)
def test_trytons_json_forms_go_both_ways(value: Any) -> None:
    assert decoded(json.loads(json.dumps(encoded(value)))) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("numeric", Decimal("3.5000")),
        ("date", date(2026, 11, 24)),
        ("datetime", datetime(2026, 11, 24, 10, 0)),  # noqa: DTZ001 - Tryton's moments are naive UTC
        ("timedelta", timedelta(hours=3)),
        ("char", "x"),
        ("boolean", False),
        ("multiselection", ["task"]),
    ],
)
def test_a_stored_value_comes_back_as_it_was(kind: Any, value: Any) -> None:
    field = Field(kind, "Field")
    stored = json.loads(json.dumps(stored_value(field, value)))
    assert python_value(field, stored) == value
    assert str(python_value(field, stored)) == str(value)


@pytest.mark.parametrize(("kind", "value"), [("numeric", 3.5), ("char", 3), ("many2one", "1"), ("date", "2026-11-24")])
def test_a_value_of_the_wrong_type_is_refused(kind: Any, value: Any) -> None:
    with pytest.raises(ServerError, match="Field"):
        stored_value(Field(kind, "Field"), value)
