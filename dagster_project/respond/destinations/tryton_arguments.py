"""What a playbook may say to each Tryton operation."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from dagster_project.respond.destinations.argument_types import RenderedArguments, none_if_blank

_CONTROL = re.compile(r"[\x00-\x1f\x7f\s]+")


def _on_one_line(value: Any) -> Any:
    """Text as Tryton's one-line fields take it: they refuse tabs and line breaks, so that each run becomes a space."""
    return _CONTROL.sub(" ", value).strip() if isinstance(value, str) else value


# A name may be smoothed; a code identifies, so that one with control characters is refused before anything is sent.
Label = Annotated[str, BeforeValidator(_on_one_line), StringConstraints(min_length=1)]
OptionalLabel = Annotated[str | None, BeforeValidator(none_if_blank), BeforeValidator(_on_one_line)]
Code = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")]


class PurchaseLine(RenderedArguments):
    """One product of a purchase order."""

    product_code: Code = Field(description="the product's code; the product is made when there is none")
    product_name: Label = Field(description="the product's name, used when it is made")
    quantity: Decimal = Field(gt=0, allow_inf_nan=False, description="how many, in the product's purchase unit")
    unit_price: Decimal = Field(ge=0, allow_inf_nan=False, description="price of one, in the order's currency")


class CreatePurchaseOrder(RenderedArguments):
    """A draft purchase order at one supplier."""

    supplier_code: Code = Field(description="the supplier's party code, unique in Tryton; made when there is none")
    supplier_name: Label = Field(description="the supplier's name, used when it is made")
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="ISO 4217 code of a currency that Tryton knows")
    lines: tuple[PurchaseLine, ...] = Field(min_length=1, description="what is ordered")
    description: OptionalLabel = Field(None, description="shown on the order")


class CreateOnboardingProject(RenderedArguments):
    """A project with its checklist of tasks."""

    name: Label = Field(description="the project's name")
    party_code: Code = Field(description="the customer's party code, unique in Tryton; made when there is none")
    party_name: Label = Field(description="the customer's name, used when it is made")
    tasks: tuple[Label, ...] = Field(min_length=1, description="names of the tasks, in order")
