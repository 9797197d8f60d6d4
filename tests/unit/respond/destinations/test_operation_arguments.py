"""Arguments accept what templates render, refuse what cannot be meant, and survive being stored."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError
from vendor_samples import SAMPLES

from dagster_project.respond.destinations.email import SendEmail
from dagster_project.respond.destinations.hubspot_arguments import AssignTask, UpdateTask, UpsertCompany
from dagster_project.respond.destinations.registry import discover
from dagster_project.respond.destinations.tryton_arguments import CreatePurchaseOrder
from dagster_project.respond.destinations.webhook import SendEvent, WebhookConnection

TASK = {"subject": "Call", "due_at": "2026-11-25T09:00:00Z"}


@pytest.mark.parametrize(("name", "operation"), SAMPLES)
def test_arguments_survive_being_stored(name: str, operation: str) -> None:
    kind = discover()[name].operations[operation].arguments
    arguments = kind.model_validate(SAMPLES[name, operation])
    assert kind.model_validate_json(arguments.model_dump_json()) == arguments


@pytest.mark.parametrize(("name", "operation"), SAMPLES)
def test_an_unknown_argument_is_refused(name: str, operation: str) -> None:
    kind = discover()[name].operations[operation].arguments
    with pytest.raises(ValidationError, match="mistyped"):
        kind.model_validate({**SAMPLES[name, operation], "mistyped": "x"})


def test_text_becomes_what_is_meant() -> None:
    task = AssignTask.model_validate({**TASK, "priority": " high ", "owner_email": "  ", "contact_entity_id": 7})
    assert (task.priority, task.owner_email, task.contact_entity_id) == ("HIGH", None, "7")
    assert task.due_at == datetime(2026, 11, 25, 9, tzinfo=UTC)
    line = {"product_code": 12, "product_name": "Red", "quantity": "3", "unit_price": "1.10"}
    order = CreatePurchaseOrder.model_validate({"supplier_code": "S", "supplier_name": "S", "lines": [line]})
    assert (order.lines[0].product_code, order.lines[0].unit_price) == ("12", Decimal("1.10"))


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        AssignTask.model_validate({**TASK, "due_at": "2026-11-25T09:00:00"})


@pytest.mark.parametrize("quantity", ["0", "-1", "NaN", "Infinity", "many"])
def test_a_quantity_that_cannot_be_ordered_is_refused(quantity: str) -> None:
    line = {"product_code": "a", "product_name": "A", "quantity": quantity, "unit_price": "1"}
    with pytest.raises(ValidationError, match="quantity"):
        CreatePurchaseOrder.model_validate({"supplier_code": "S", "supplier_name": "S", "lines": [line]})


def test_an_update_that_changes_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least one"):
        UpdateTask.model_validate({"task_id": "1", "status": "", "body": " "})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", "Hello\r\nBcc: everyone@example.com"),
        ("subject", "Hello\nBcc: x@example.com"),
        ("to", "a@example.com\r\nBcc: b@example.com"),
        ("to", "a@example.com, b@example.com"),
        ("to", "A <a@example.com>"),
        ("to", "a b@example.com"),
    ],
)
def test_a_header_cannot_be_injected(field: str, value: str) -> None:
    with pytest.raises(ValidationError, match=field):
        SendEmail.model_validate({"to": "a@example.com", "subject": "Hi", "text": "t", field: value})


def test_named_company_fields_and_further_properties() -> None:
    company = UpsertCompany(
        entity_id="1", name="Acme", lifecycle_stage="lead", properties={"lifecyclestage": "customer"}
    )
    assert company.values() == {"name": "Acme", "lifecyclestage": "customer"}


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!"])
def test_a_webhook_secret_that_cannot_sign_is_refused(secret: str) -> None:
    with pytest.raises(ValidationError, match="whsec_"):
        WebhookConnection.model_validate({"url": "http://x", "secret": secret})


def test_an_event_keeps_its_data_as_it_is() -> None:
    event = SendEvent.model_validate({"type": "t", "source": "s", "data": {"a": [1, {"b": None}], "c": "1"}})
    assert event.data == {"a": [1, {"b": None}], "c": "1"}
