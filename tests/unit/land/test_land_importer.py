"""The import of files: what is sound arrives as written, what is damaged is refused and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from small_files import SMALL_FILES, TELCO_HEADER, write_small_files

from dagster_project.contracts.warehouse import DuckDBTarget, WarehouseTarget
from dagster_project.land.generator import GeneratedCompany, generate
from dagster_project.land.importer import import_files
from dagster_project.land.report import LandingError

AS_OF = datetime(2026, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)
Query = Callable[[WarehouseTarget, str], list[tuple[Any, ...]]]


@contextmanager
def unchanged(target: WarehouseTarget, query: Query) -> Iterator[None]:
    """Assert that the block leaves the landed customers as they were."""
    before = query(target, "select * from landing.customers order by line_number")
    yield
    assert query(target, "select * from landing.customers order by line_number") == before


def test_files_replace_what_was_landed(target: WarehouseTarget, tmp_path: Path, query: Query) -> None:
    generate(target, GeneratedCompany(as_of=AS_OF))
    report = import_files(target, write_small_files(tmp_path / "data"), AS_OF)
    assert {table.table: (table.rows_read, table.rows) for table in report.tables} == {
        "customers": (3, 3),
        "contacts": (0, 0),
        "account_owners": (0, 0),
        "do_not_contact": (0, 0),
        "products": (2, 2),
        "stock_levels": (2, 2),
        "suppliers": (1, 1),
        "product_suppliers": (2, 2),
        "open_orders": (2, 1),
        "accounts": (4, 2),
        "opportunities": (4, 4),
    }
    assert query(target, "select distinct loaded_at from landing.customers") == [(AS_OF.replace(tzinfo=None),)]


def test_values_arrive_as_written_with_their_line(target: WarehouseTarget, tmp_path: Path, query: Query) -> None:
    import_files(target, write_small_files(tmp_path / "data"), AS_OF)
    assert query(
        target,
        "select line_number, customer_id, tenure_months, total_charges, payment_method "
        "from landing.customers order by 1",
    ) == [
        (2, "1", "1", "29.85", "Electronic check"),
        (3, "2", "0", None, "Electronic check"),
        (4, "3", "72", "1443.6", "Bank transfer, automatic"),
    ]
    assert query(target, "select account_id from landing.accounts order by line_number") == [
        ("Cancity",),
        ('Isdom, "the" first',),
    ]
    assert query(target, "select order_number, quantity, ordered_on, expected_on from landing.open_orders") == [
        ("ON-ORDER-1492-1", "3", "2011-08-29 00:00:00", "2011-09-15")
    ]


def test_the_report_tells_each_table_its_file_and_what_was_not_used(
    duckdb_target: DuckDBTarget, tmp_path: Path
) -> None:
    told = str(import_files(duckdb_target, write_small_files(tmp_path / "data"), AS_OF)).splitlines()
    assert told[0] == "landed as of 2026-03-14T09:26:53+00:00"
    assert "customers: 3 rows, telco_customers.csv; not used: female, senior_citizen, partner, dependents" in told
    assert "contacts: 0 rows, no file" in told


def test_columns_that_are_not_used_are_named(duckdb_target: DuckDBTarget, tmp_path: Path) -> None:
    report = import_files(duckdb_target, write_small_files(tmp_path / "data"), AS_OF)
    ignored = {table.table: table.ignored_columns for table in report.tables}
    assert ignored["customers"] == ("female", "senior_citizen", "partner", "dependents")
    assert ignored["product_suppliers"] == ("last_receipt_cost", "last_receipt_date")


def test_optional_files_fill_the_tables_that_the_others_leave_empty(
    target: WarehouseTarget, tmp_path: Path, query: Query
) -> None:
    folder = write_small_files(
        tmp_path / "data",
        do_not_contact="entity_type,entity_id,reason,since_at\ncustomer,1,asked,2026-01-01 08:00:00\n",
    )
    report = import_files(target, folder, AS_OF)
    assert report.rows("do_not_contact") == 1
    assert query(target, "select entity_type, entity_id from landing.do_not_contact") == [("customer", "1")]


def test_a_byte_order_mark_and_windows_line_ends_are_tolerated(
    target: WarehouseTarget, tmp_path: Path, query: Query
) -> None:
    windows = b"\xef\xbb\xbf" + SMALL_FILES["inventory_levels.csv"].replace("\n", "\r\n").encode()
    import_files(target, write_small_files(tmp_path / "data", inventory_levels=windows), AS_OF)
    assert query(target, "select product_id, counted_on from landing.stock_levels where line_number = 2") == [
        ("1", "2014-08-08 00:00:00")
    ]


def test_a_value_may_hold_line_breaks_and_quotes(target: WarehouseTarget, tmp_path: Path, query: Query) -> None:
    odd = '"Race ""one""\n\\N {{ 7*7 }} 🚲"'
    products = SMALL_FILES["inventory_products.csv"].replace("Adjustable Race", odd)
    import_files(target, write_small_files(tmp_path / "data", inventory_products=products), AS_OF)
    assert query(target, "select line_number, product_name from landing.products order by 1") == [
        (3, 'Race "one"\n\\N {{ 7*7 }} 🚲'),
        (4, "Bearing Ball"),
    ]


LEVELS = SMALL_FILES["inventory_levels.csv"]
CUSTOMERS = SMALL_FILES["telco_customers.csv"]
DAMAGED: dict[str, tuple[dict[str, str | bytes], str]] = {
    "empty": ({"inventory_levels": ""}, r"inventory_levels\.csv: the file is empty"),
    "header only": ({"telco_customers": TELCO_HEADER + "\n"}, r"telco_customers\.csv: there is a header and no row"),
    "column gone": (
        {"inventory_levels": LEVELS.replace("quantity", "amount")},
        r"inventory_levels\.csv line 1: column quantity is missing; the file has product_id, .*, amount",
    ),
    "column twice": (
        {"inventory_levels": LEVELS.replace("location_id", "product_id")},
        r"inventory_levels\.csv line 1: the column product_id is there more than once",
    ),
    "cut off within a row": (
        {"inventory_levels": LEVELS + "2,1,C,\n"},
        r"inventory_levels\.csv line 4, column bin: 4 values where the header has 6",
    ),
    "cut off within a value": (
        {"inventory_levels": LEVELS[:-4]},
        r"inventory_levels\.csv line 3: the last line is not ended",
    ),
    "cut off within quotes": (
        {"telco_customers": CUSTOMERS[: CUSTOMERS.index(", automatic")] + "\n"},
        r"telco_customers\.csv line 4: unexpected end of data",
    ),
    "one value too many": (
        {"inventory_levels": LEVELS + "2,1,C,1,7,2014-08-08,x\n"},
        r"inventory_levels\.csv line 4, column modified_date: 7 values",
    ),
    "in another encoding": (
        {
            "inventory_vendors": SMALL_FILES["inventory_vendors.csv"]
            .replace("Australia", "Österreich")
            .encode("latin-1")
        },
        r"inventory_vendors\.csv line 2, column name \(character 19\): the byte 0xd6 is not UTF-8",
    ),
    "two bytes a character": (
        {"inventory_vendors": SMALL_FILES["inventory_vendors.csv"].encode("utf-16")},
        r"inventory_vendors\.csv line 1, character 1: the byte 0xff is not UTF-8",
    ),
    "zero bytes": (
        {"inventory_levels": LEVELS.replace("408", "4\x008")},
        r"inventory_levels\.csv line 2, column quantity \(character 10\): a zero byte",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_refused_with_its_place(
    case: str, duckdb_target: DuckDBTarget, tmp_path: Path, query: Query
) -> None:
    changed, message = DAMAGED[case]
    import_files(duckdb_target, write_small_files(tmp_path / "sound"), AS_OF)
    with unchanged(duckdb_target, query), pytest.raises(LandingError, match=message) as refused:
        import_files(duckdb_target, write_small_files(tmp_path / "data", **changed), AS_OF)
    assert "the landing tables are as they were" in str(refused.value)


def test_a_missing_file_and_every_other_problem_are_named_at_once(
    target: WarehouseTarget, tmp_path: Path, query: Query
) -> None:
    import_files(target, write_small_files(tmp_path / "sound"), AS_OF)
    folder = write_small_files(tmp_path / "data", inventory_levels="", telco_customers=TELCO_HEADER)
    (folder / "inventory_vendors.csv").unlink()
    with unchanged(target, query), pytest.raises(LandingError) as refused:
        import_files(target, folder, AS_OF)
    for name in ("inventory_levels.csv", "telco_customers.csv line 1", "inventory_vendors.csv: there is no such file"):
        assert str(refused.value).count(name) == 1


def test_a_folder_that_is_not_there_is_refused(duckdb_target: DuckDBTarget, tmp_path: Path) -> None:
    with pytest.raises(LandingError, match="nowhere is not a folder"):
        import_files(duckdb_target, tmp_path / "nowhere", AS_OF)


def test_a_moment_without_zone_is_refused(duckdb_target: DuckDBTarget, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        import_files(duckdb_target, tmp_path, datetime(2026, 1, 1))  # noqa: DTZ001 - that is the mistake
