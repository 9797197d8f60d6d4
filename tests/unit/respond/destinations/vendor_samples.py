"""Arguments of every operation as a template renders them: text throughout."""

from __future__ import annotations

from typing import Any

SAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("hubspot", "add_to_campaign"): {"entity_id": "c-1", "email": "c1@example.com", "campaign": "Win back"},
    ("hubspot", "upsert_contact"): {"entity_id": "c-1", "first_name": "Ada", "properties": {"plan": "gold"}},
    ("hubspot", "upsert_company"): {"entity_id": "a-1", "name": "Acme", "lifecycle_stage": "customer"},
    ("hubspot", "assign_task"): {"subject": "Call", "body": "<p>x</p>", "due_at": "2026-11-25T09:00:00+01:00"},
    ("hubspot", "update_task"): {"task_id": "77", "status": "completed"},
    ("tryton", "create_purchase_order"): {
        "supplier_code": "S1",
        "supplier_name": "Supplier",
        "lines": [{"product_code": "P1", "product_name": "Red", "quantity": "12", "unit_price": "3.50"}],
    },
    ("tryton", "create_onboarding_project"): {"name": "N", "party_code": "A", "party_name": "Acme", "tasks": ["One"]},
    ("slack", "post_message"): {"channel": "#alerts", "text": "At risk", "fields": {"score": "0.9"}},
    ("email", "send_email"): {"to": "ada@example.com", "subject": "Hi", "text": "Hello", "html": "<b>Hello</b>"},
    ("webhook", "send_event"): {"type": "t", "source": "/s", "time": "2026-11-25T09:00:00Z", "data": {"a": "1"}},
}
