"""Which file fills which landing table, column by column; the one place that knows how the real files are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from dagster_project.land.tables import TABLES_BY_NAME

FileRow = Mapping[str, str]
Cell = str | Callable[[FileRow], str]  # the file's column, or how its row tells the value


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How one file fills one landing table; landing columns that are not named stay empty."""

    file_name: str
    table: str
    cells: Mapping[str, Cell]  # by landing column
    reads: tuple[str, ...] = ()  # columns of the file that functions among the cells, or `keeps`, look at
    keeps: Callable[[FileRow], bool] | None = None  # rows that become a row of the table; None: all
    distinct_on: str | None = None  # landing column of which the first row alone is kept
    is_optional: bool = False

    @property
    def file_columns(self) -> tuple[str, ...]:
        """The columns that the file must have, in a stable order."""
        named = [cell for cell in self.cells.values() if isinstance(cell, str)]
        return tuple(dict.fromkeys((*named, *self.reads)))

    @property
    def is_derived(self) -> bool:
        """Whether the table gets other rows than the file has."""
        return self.keeps is not None or self.distinct_on is not None


def _expected_on(row: FileRow) -> str:
    """The vendor's lead time after the day of the entry; empty, and refused by staging, if either cannot be read."""
    try:
        ordered_on = date.fromisoformat(row["modified_date"][:10])
        return (ordered_on + timedelta(days=int(row["average_lead_time_days"]))).isoformat()
    except (ValueError, OverflowError):
        return ""


def _order_number(row: FileRow) -> str:
    return f"ON-ORDER-{row['vendor_id']}-{row['product_id']}"


def _has_quantity_on_order(row: FileRow) -> bool:
    return bool(row["on_order_qty"].strip())


def _has_account(row: FileRow) -> bool:
    return bool(row["account"].strip())


def _as_landed(table: str) -> FileFormat:
    """An optional file that is written in the landing table's own columns."""
    columns = TABLES_BY_NAME[table].columns
    return FileFormat(f"{table}.csv", table, {column: column for column in columns}, is_optional=True)


_CUSTOMER_COLUMNS_OF_ANOTHER_NAME = {"tenure_months": "tenure", "has_left": "churn"}
_CUSTOMER_COLUMNS_NOT_IN_FILE = ("customer_name", "data_gb_30d", "data_gb_prior_30d", "support_calls_30d", "left_on")

FILE_FORMATS: tuple[FileFormat, ...] = (
    FileFormat(
        "telco_customers.csv",
        "customers",
        {
            column: _CUSTOMER_COLUMNS_OF_ANOTHER_NAME.get(column, column)
            for column in TABLES_BY_NAME["customers"].columns
            if column not in _CUSTOMER_COLUMNS_NOT_IN_FILE
        },
    ),
    FileFormat(
        "inventory_products.csv",
        "products",
        {
            "product_id": "product_id",
            "product_number": "product_number",
            "product_name": "name",
            "safety_stock_level": "safety_stock_level",
            "reorder_point": "reorder_point",
            "list_price": "list_price",
            "discontinued_on": "discontinued_date",
        },
    ),
    FileFormat(
        "inventory_levels.csv",
        "stock_levels",
        {
            "product_id": "product_id",
            "location_id": "location_id",
            "shelf": "shelf",
            "bin": "bin",
            "quantity": "quantity",
            "counted_on": "modified_date",
        },
    ),
    FileFormat(
        "inventory_vendors.csv",
        "suppliers",
        {
            "supplier_id": "vendor_id",
            "account_number": "account_number",
            "supplier_name": "name",
            "credit_rating": "credit_rating",
            "is_preferred": "preferred",
            "is_active": "active",
        },
    ),
    FileFormat(
        "inventory_product_vendors.csv",
        "product_suppliers",
        {
            "product_id": "product_id",
            "supplier_id": "vendor_id",
            "unit_price": "standard_price",
            "lead_time_days": "average_lead_time_days",
            "min_order_quantity": "min_order_qty",
            "max_order_quantity": "max_order_qty",
            "unit_of_measure": "unit_measure_code",
        },
    ),
    FileFormat(
        "inventory_product_vendors.csv",
        "open_orders",
        {
            "order_number": _order_number,
            "product_id": "product_id",
            "supplier_id": "vendor_id",
            "quantity": "on_order_qty",
            "ordered_on": "modified_date",
            "expected_on": _expected_on,
        },
        reads=("vendor_id", "product_id", "average_lead_time_days", "modified_date"),
        keeps=_has_quantity_on_order,
    ),
    FileFormat(
        "crm_opportunities.csv",
        "opportunities",
        {
            "opportunity_id": "opportunity_id",
            "account_id": "account",
            "product_name": "product",
            "stage": "deal_stage",
            "owner_name": "sales_agent",
            "engaged_on": "engage_date",
            "closed_on": "close_date",
            "value": "close_value",
        },
    ),
    FileFormat(
        "crm_opportunities.csv",
        "accounts",
        {"account_id": "account", "account_name": "account"},
        keeps=_has_account,
        distinct_on="account_id",
    ),
    _as_landed("contacts"),
    _as_landed("account_owners"),
    _as_landed("do_not_contact"),
)
