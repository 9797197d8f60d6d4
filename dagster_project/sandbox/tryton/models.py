"""The part of Tryton's data model that the loop touches: models, fields, which are required, which are unique.

Source: trytond 8.2 modules party, product, purchase, project, company, currency.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dagster_project.sandbox.tryton.fields import Field, Model


def _char(label: str, **given: Any) -> Field:
    return Field("char", label, **given)


def _one(label: str, target: str, **given: Any) -> Field:
    return Field("many2one", label, target, **given)


def _many(label: str, target: str, inverse: str) -> Field:
    return Field("one2many", label, target, inverse)


def _related(label: str, path: str) -> Field:
    return Field("related", label, path)


PURCHASE_STATES = ("draft", "quotation", "confirmed", "processing", "done", "cancelled")
# Source: Purchase.__setup__ of trytond_purchase; the sandbox stops at `confirmed`, receipts are not the loop's
PURCHASE_TRANSITIONS: dict[str, tuple[frozenset[str], str]] = {
    "draft": (frozenset({"cancelled", "quotation", "confirmed"}), "draft"),
    "quote": (frozenset({"draft"}), "quotation"),
    "confirm": (frozenset({"quotation"}), "confirmed"),
    "cancel": (frozenset({"draft", "quotation"}), "cancelled"),
}

_MODELS = (
    Model(
        "res.user",
        "User",
        {
            "name": _char("Name", is_required=True),
            "login": _char("Login", is_required=True, is_unique=True),
            "email": _char("Email"),
            "company": _one("Current Company", "company.company"),
            "companies": Field("many2many", "Companies", "company.company"),
        },
    ),
    Model(
        "currency.currency",
        "Currency",
        {
            "name": _char("Name", is_required=True),
            "code": _char("Code", is_required=True),
            "symbol": _char("Symbol"),
            "digits": Field("integer", "Digits", default=2),
            "rates": _many("Rates", "currency.currency.rate", "currency"),
        },
    ),
    Model(
        "currency.currency.rate",
        "Currency Rate",
        {
            "currency": _one("Currency", "currency.currency", is_required=True),
            "date": Field("date", "Date", is_required=True),
            "rate": Field("numeric", "Rate", is_required=True),
        },
    ),
    Model(
        "company.company",
        "Company",
        {
            "party": _one("Party", "party.party", is_required=True),
            "currency": _one("Currency", "currency.currency", is_required=True),
            "name": _related("Name", "party.name"),
        },
    ),
    Model(
        "party.party",
        "Party",
        {
            "name": _char("Name"),
            "code": _char("Code", is_required=True, is_unique=True),
            "active": Field("boolean", "Active", default=True),
            "addresses": _many("Addresses", "party.address", "party"),
            "contact_mechanisms": _many("Contact Mechanisms", "party.contact_mechanism", "party"),
        },
        page="/erp/parties/{id}",
    ),
    Model(
        "party.address",
        "Address",
        {
            "party": _one("Party", "party.party", is_required=True),
            "party_name": _char("Party Name"),
            "street": Field("text", "Street"),
            "postal_code": _char("Postal Code"),
            "city": _char("City"),
        },
    ),
    Model(
        "party.contact_mechanism",
        "Contact Mechanism",
        {
            "party": _one("Party", "party.party", is_required=True),
            "type": Field(
                "selection",
                "Type",
                options=("phone", "mobile", "fax", "email", "website", "other"),
                default="phone",
                is_required=True,
            ),
            "value": _char("Value"),
        },
    ),
    Model(
        "product.uom.category",
        "Unit of Measure Category",
        {"name": _char("Name", is_required=True), "uoms": _many("Units of Measure", "product.uom", "category")},
    ),
    Model(
        "product.uom",
        "Unit of Measure",
        {
            "name": _char("Name", is_required=True),
            "symbol": _char("Symbol", is_required=True),
            "category": _one("Category", "product.uom.category", is_required=True),
            "rate": Field("float", "Rate", default=1.0),
            "factor": Field("float", "Factor", default=1.0),
            "rounding": Field("float", "Rounding Precision", default=0.01),
            "digits": Field("integer", "Display Digits", default=2),
        },
    ),
    Model(
        "product.template",
        "Product Template",
        {
            "name": _char("Name", is_required=True),
            "code": _char("Code"),
            "type": Field(
                "selection", "Type", options=("goods", "assets", "service"), default="goods", is_required=True
            ),
            "default_uom": _one("Default UoM", "product.uom", is_required=True),
            "list_price": Field("numeric", "List Price", digits=4),
            "purchasable": Field("boolean", "Purchasable", default=False),
            "purchase_uom": _one("Purchase UoM", "product.uom"),
            "salable": Field("boolean", "Salable", default=False),
            "active": Field("boolean", "Active", default=True),
            "products": _many("Variants", "product.product", "template"),
        },
    ),
    Model(
        "product.product",
        "Product Variant",
        {
            "template": _one("Product Template", "product.template", is_required=True),
            "suffix_code": _char("Suffix Code"),
            "code": _char("Code"),
            "description": Field("text", "Description"),
            "active": Field("boolean", "Active", default=True),
            "name": _related("Name", "template.name"),
            "type": _related("Type", "template.type"),
            "default_uom": _related("Default UoM", "template.default_uom"),
            "purchase_uom": _related("Purchase UoM", "template.purchase_uom"),
            "purchasable": _related("Purchasable", "template.purchasable"),
            "list_price": _related("List Price", "template.list_price"),
        },
        page="/erp/products/{id}",
    ),
    Model(
        "purchase.purchase",
        "Purchase",
        {
            "company": _one("Company", "company.company", is_required=True),
            "number": _char("Number"),
            "reference": _char("Reference"),
            "description": _char("Description"),
            "comment": Field("text", "Comment"),
            "party": _one("Party", "party.party", is_required=True),
            "currency": _one("Currency", "currency.currency", is_required=True),
            "purchase_date": Field("date", "Purchase Date"),
            "delivery_date": Field("date", "Delivery Date"),
            "quotation_expire": Field("date", "Quotation Expire"),
            "invoice_address": _one("Invoice Address", "party.address"),
            "invoice_method": Field(
                "selection",
                "Invoice Method",
                options=("manual", "order", "fulfillment"),
                default="order",
                is_required=True,
            ),
            "state": Field("selection", "State", options=PURCHASE_STATES, default="draft", is_required=True),
            "lines": _many("Lines", "purchase.line", "purchase"),
            "untaxed_amount": Field("function", "Untaxed"),
            "tax_amount": Field("function", "Tax"),
            "total_amount": Field("function", "Total"),
        },
        buttons=frozenset(PURCHASE_TRANSITIONS),
        page="/erp/purchases/{id}",
    ),
    Model(
        "purchase.line",
        "Purchase Line",
        {
            "purchase": _one("Purchase", "purchase.purchase", is_required=True),
            "sequence": Field("integer", "Sequence"),
            "type": Field(
                "selection",
                "Type",
                options=("line", "subtotal", "title", "comment"),
                default="line",
                is_required=True,
            ),
            "product": _one("Product", "product.product"),
            "description": _char("Description"),
            "quantity": Field("float", "Quantity"),
            "unit": _one("Unit", "product.uom"),
            "unit_price": Field("numeric", "Unit Price", digits=4),
            "note": Field("text", "Note"),
            "delivery_date": Field("date", "Delivery Date"),
            "amount": Field("function", "Amount"),
            "moves_progress": Field("function", "Moves Progress"),
        },
    ),
    Model(
        "project.work.status",
        "Work Status",
        {
            "name": _char("Name", is_required=True),
            "types": Field("multiselection", "Types", options=("project", "task")),
            "progress": Field("float", "Progress"),
            "default": Field("boolean", "Default", default=False),
            "count": Field("boolean", "Count", default=False),
        },
    ),
    Model(
        "project.work",
        "Project Work",
        {
            "name": _char("Name", is_required=True),
            "number": _char("Number", is_given=True),
            "type": Field("selection", "Type", options=("project", "task"), default="task", is_required=True),
            "company": _one("Company", "company.company", is_required=True),
            "party": _one("Party", "party.party"),
            "comment": Field("text", "Comment"),
            "parent": _one("Parent", "project.work"),
            "children": _many("Children", "project.work", "parent"),
            "status": _one("Status", "project.work.status", is_required=True),
            "progress": Field("float", "Progress"),
            "effort_duration": Field("timedelta", "Effort"),
            "sequence": Field("integer", "Sequence"),
        },
        page="/erp/projects/{id}",
    ),
)

_STANDARD: dict[str, Field] = {
    "id": Field("integer", "ID"),
    "rec_name": Field("function", "Record Name"),
    "create_date": Field("datetime", "Created at"),
    "write_date": Field("datetime", "Edited at"),
    "create_uid": Field("integer", "Created by"),
}


@dataclass(frozen=True)
class Registry:
    """All models by name."""

    models: dict[str, Model] = field(
        default_factory=lambda: {
            model.name: Model(model.name, model.label, _STANDARD | model.fields, model.buttons, model.page)
            for model in _MODELS
        }
    )

    def __getitem__(self, name: str) -> Model:
        return self.models[name]

    def __contains__(self, name: object) -> bool:
        return name in self.models


REGISTRY = Registry()
