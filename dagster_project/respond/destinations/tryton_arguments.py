"""What a playbook may say to each Tryton operation."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from dagster_project.respond.destinations.argument_types import OneLine, OptionalText, RenderedArguments, Required


class PurchaseLine(RenderedArguments):
    """One product of a purchase order."""

    product_code: Required = Field(description="the product's code; the product is made when there is none")
    product_name: Required = Field(description="the product's name, used when it is made")
    quantity: Decimal = Field(gt=0, allow_inf_nan=False, description="how many, in the product's purchase unit")
    unit_price: Decimal = Field(ge=0, allow_inf_nan=False, description="price of one, in the order's currency")


class CreatePurchaseOrder(RenderedArguments):
    """A draft purchase order at one supplier."""

    supplier_code: OneLine = Field(description="the supplier's party code, unique in Tryton; made when there is none")
    supplier_name: Required = Field(description="the supplier's name, used when it is made")
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="ISO 4217 code of a currency that Tryton knows")
    lines: tuple[PurchaseLine, ...] = Field(min_length=1, description="what is ordered")
    description: OptionalText = Field(None, description="shown on the order")


class CreateOnboardingProject(RenderedArguments):
    """A project with its checklist of tasks."""

    name: OneLine = Field(description="the project's name")
    party_code: OneLine = Field(description="the customer's party code, unique in Tryton; made when there is none")
    party_name: Required = Field(description="the customer's name, used when it is made")
    tasks: tuple[Required, ...] = Field(min_length=1, description="names of the tasks, in order")
