"""Makes a company that lives: the state of any day is a function of the seed and the day, told in set-based SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from dagster_project.contracts.warehouse import WarehouseTarget
from dagster_project.land import vocabulary
from dagster_project.land.connection import LandingConnection, transaction
from dagster_project.land.ddl import count_rows, empty_tables, ensure_tables
from dagster_project.land.report import LandingReport, TableLanding
from dagster_project.land.tables import LANDING_SCHEMA, LANDING_TABLES

_TOLD_FIRST = ("storyline", "people_today")  # temporary tables that several landing tables are told from


@dataclass(frozen=True, slots=True)
class GeneratedCompany:
    """One day of one company; two with equal fields land equal rows, on every warehouse.

    Attributes:
        seed: chooses the company.
        customers: how many customers it has on each day, those who left included.
        day: the simulated day, 1 or later.
        as_of: the moment that the data claims to be from, timezone-aware; business dates count back from it.
        products: how many products it stocks.
    """

    seed: int = 7
    customers: int = 1_000
    day: int = 1
    as_of: datetime = field(default_factory=lambda: datetime.now(UTC))
    products: int = 200

    def __post_init__(self) -> None:
        for name in ("customers", "day", "products"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.as_of.tzinfo is None:
            raise ValueError(f"as_of {self.as_of.isoformat()} has no time zone; give it one, for example UTC")


def generate(
    target: WarehouseTarget, company: GeneratedCompany | None = None, landing_schema: str = LANDING_SCHEMA
) -> LandingReport:
    """Replace all landing tables by one day of a generated company, in one transaction.

    Raises:
        LandingError: the warehouse refused; the landing tables are as they were.
    """
    told = company or GeneratedCompany()
    with transaction(target) as connection:
        ensure_tables(connection, landing_schema)
        empty_tables(connection, landing_schema)
        _tell(connection, told, landing_schema)
        counts = count_rows(connection, landing_schema)
    tables = (TableLanding(table.name, counts[table.name], "generator", counts[table.name]) for table in LANDING_TABLES)
    return LandingReport(told.as_of, tuple(tables))


def _tell(connection: LandingConnection, company: GeneratedCompany, schema: str) -> None:
    for name in _TOLD_FIRST:
        connection.run(f"create temporary table {name} as {select_for(name, company, connection.dialect)}")
    for table in LANDING_TABLES:
        columns = ", ".join(table.all_columns)
        query = select_for(table.name, company, connection.dialect)
        connection.run(f"insert into {schema}.{table.name} ({columns}) select {columns} from ({query}) as told")
    for name in reversed(_TOLD_FIRST):
        connection.run(f"drop table {name}")


def select_for(name: str, company: GeneratedCompany, dialect: str) -> str:
    """The query whose rows are one landing table of the company, in the SQL of `dialect` (duckdb or postgres)."""
    return _environment().get_template(f"{name}.sql").render(dialect=dialect, **_facts(company))


def sql_literal(text: str) -> str:
    """Text as a SQL string literal; only a quote needs care in standard-conforming strings."""
    return "'" + text.replace("'", "''") + "'"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    loader = PackageLoader("dagster_project.land", "sql")
    environment = Environment(loader=loader, undefined=StrictUndefined, autoescape=False)
    environment.filters["literal"] = sql_literal
    return environment


def _facts(company: GeneratedCompany) -> dict[str, Any]:
    as_of = company.as_of.astimezone(UTC)
    return {
        "seed": company.seed,
        "seed_shift": company.seed % 40,
        "customers": company.customers,
        "day": company.day,
        "products": company.products,
        "accounts": max(40, company.customers // 25),
        "deals_per_day": max(6, company.customers // 1_000 * 6),
        "as_of": as_of.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "as_of_date": as_of.strftime("%Y-%m-%d"),
        "first_names": vocabulary.FIRST_NAMES,
        "last_names": vocabulary.LAST_NAMES,
        "odd_names": vocabulary.ODD_NAMES,
        "owner_names": [name for name, _ in vocabulary.OWNERS],
        "owner_handles": [handle for _, handle in vocabulary.OWNERS],
        "business_words": vocabulary.BUSINESS_WORDS,
        "business_kinds": vocabulary.BUSINESS_KINDS,
        "odd_business_names": vocabulary.ODD_BUSINESS_NAMES,
        "deal_products": vocabulary.DEAL_PRODUCTS,
        "product_codes": vocabulary.PRODUCT_CODES,
        "product_words": vocabulary.PRODUCT_WORDS,
        "product_kinds": vocabulary.PRODUCT_KINDS,
        "odd_product_names": vocabulary.ODD_PRODUCT_NAMES,
        "supplier_names": vocabulary.SUPPLIER_NAMES,
    }
