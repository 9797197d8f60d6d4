"""The landing tables: one list that the generator, the import and the warehouse's DDL all follow."""

from __future__ import annotations

from dataclasses import dataclass

LANDING_SCHEMA = "landing"
LOADED_AT = "loaded_at"  # when the row was landed, UTC
LINE_NUMBER = "line_number"  # the row's line in its file (the header is line 1), or its running number if generated


@dataclass(frozen=True, slots=True)
class LandingTable:
    """One landing table: its data columns are text as they arrived; staging gives them types and refuses rows."""

    name: str
    columns: tuple[str, ...]

    @property
    def all_columns(self) -> tuple[str, ...]:
        """The columns in the order of the table: where the row came from, what it says, when it arrived."""
        return (LINE_NUMBER, *self.columns, LOADED_AT)


def _table(name: str, columns: str) -> LandingTable:
    return LandingTable(name, tuple(columns.split()))


LANDING_TABLES: tuple[LandingTable, ...] = (
    _table(
        "customers",
        "customer_id customer_name contract tenure_months internet_service phone_service multiple_lines "
        "online_security online_backup device_protection tech_support streaming_tv streaming_movies "
        "paperless_billing payment_method monthly_charges total_charges data_gb_30d data_gb_prior_30d "
        "support_calls_30d has_left left_on",
    ),
    _table("contacts", "contact_id customer_id account_id contact_name first_name last_name email phone is_primary"),
    _table("account_owners", "owned_type owned_id owner_name owner_email slack_handle"),
    _table("do_not_contact", "entity_type entity_id reason since_at"),
    _table(
        "products",
        "product_id product_number product_name safety_stock_level reorder_point list_price daily_demand "
        "discontinued_on",
    ),
    _table("stock_levels", "product_id location_id shelf bin quantity counted_on"),
    _table("suppliers", "supplier_id account_number supplier_name credit_rating is_preferred is_active email currency"),
    _table(
        "product_suppliers",
        "product_id supplier_id unit_price lead_time_days min_order_quantity max_order_quantity unit_of_measure",
    ),
    _table("open_orders", "order_number product_id supplier_id quantity ordered_on expected_on"),
    _table("accounts", "account_id account_name segment"),
    _table(
        "opportunities",
        "opportunity_id account_id product_name stage owner_name engaged_on closed_on value currency",
    ),
)

TABLES_BY_NAME = {table.name: table for table in LANDING_TABLES}
