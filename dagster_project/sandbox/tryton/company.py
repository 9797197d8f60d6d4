"""The company of a fresh ERP: what an administrator sets up once before anybody orders anything."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from dagster_project.sandbox.credentials import TRYTON_USER
from dagster_project.sandbox.tryton.models import REGISTRY
from dagster_project.sandbox.tryton.records import Records

_CURRENCIES = (("US Dollar", "USD", "$"), ("Euro", "EUR", "€"), ("Pound Sterling", "GBP", "£"))
_UNITS = (("Unit", "u", 1.0, 0), ("Kilogram", "kg", 0.01, 2), ("Liter", "L", 0.01, 2), ("Meter", "m", 0.01, 2))


def set_up_company(records: Records) -> None:
    """Currencies, units, the company, its user and the statuses of works; does nothing where they are."""
    if records.search(REGISTRY["res.user"], []):
        return
    currency_ids = [_currency(records, name, code, symbol) for name, code, symbol in _CURRENCIES]
    for name, symbol, rounding, digits in _UNITS:
        category = records.create(REGISTRY["product.uom.category"], {"name": name}, {})
        values = {"name": name, "symbol": symbol, "category": category, "rounding": rounding, "digits": digits}
        records.create(REGISTRY["product.uom"], values, {})
    party = records.create(
        REGISTRY["party.party"], {"name": "ACME", "addresses": [["create", [{"city": "Springfield"}]]]}, {}
    )
    company = records.create(REGISTRY["company.company"], {"party": party, "currency": currency_ids[0]}, {})
    user = {"name": "Administrator", "login": TRYTON_USER, "company": company, "companies": [company]}
    records.create(REGISTRY["res.user"], user, {})
    for name, progress, is_default in (("Open", None, True), ("Done", 1.0, False)):
        status = {"name": name, "types": ["project", "task"], "progress": progress, "default": is_default}
        records.create(REGISTRY["project.work.status"], status, {})


def _currency(records: Records, name: str, code: str, symbol: str) -> int:
    rate = {"date": date(2020, 1, 1), "rate": Decimal(1)}
    values = {"name": name, "code": code, "symbol": symbol, "rates": [["create", [rate]]]}
    return records.create(REGISTRY["currency.currency"], values, {})
