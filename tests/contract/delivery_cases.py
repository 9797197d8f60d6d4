"""What can happen to a delivery between the ledger and a destination, and what both must hold afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dagster_project.ledger.blame import FAILING
from dagster_project.sandbox.faults import FaultKind

SAFE = "safe"  # a repeat is harmless: upsert, idempotency key, find then create
ASKED = "asked"  # no repeat, but the destination can be asked whether it happened
BLIND = "blind"  # neither


@dataclass(frozen=True)
class DeliveryKit:
    """One operation of one destination, as a playbook's step would call it on the sandbox."""

    name: str
    operation: str
    after_unknown: str  # SAFE, ASKED or BLIND
    vendor: str  # the sandbox's name for it
    effect: str  # the sandbox's name for the call that makes the effect
    arguments: Mapping[str, Any]
    secret: str  # the setting that holds the credential
    record: str = ""  # how the records begin that are its effect
    refusal: Mapping[str, Any] = field(default_factory=lambda: {"kind": FaultKind.STATUS, "status": 400})
    failure: Mapping[str, Any] = field(default_factory=lambda: {"kind": FaultKind.STATUS, "status": 500})
    expired: Mapping[str, Any] = field(default_factory=lambda: {"kind": FaultKind.STATUS, "status": 401})
    no_sign_in: Mapping[str, Any] | None = None  # the fault, where the sandbox does not check the credential itself
    lacks: frozenset[str] = frozenset()  # names of cases that its protocol does not know
    settings: Mapping[str, Any] = field(default_factory=dict)  # further ones of the connection
    variant: str = ""  # what those settings mean

    @property
    def title(self) -> str:
        return f"{self.operation} ({self.variant})" if self.variant else self.operation


_ORDER_LINE = {"product_code": "SKU-1", "product_name": "Red", "quantity": "12", "unit_price": "3.50"}
_PARTY = {"party_code": "A-1", "party_name": "Acme"}
_NOT_HTTP = frozenset(
    {"redirect", "credential expires", "reply that makes no sense", "empty reply", "too many calls, a date told"}
)


def _hook(after_unknown: str, variant: str, **settings: Any) -> DeliveryKit:
    data = {"type": "loop.opened", "source": "/signals/case_open", "data": {"entity": "{{ event.entity_id }}"}}
    no_sign_in = {"kind": FaultKind.STATUS, "status": 401}
    return DeliveryKit(
        "webhook",
        "send_event",
        after_unknown,
        "hooks",
        "*",
        data,
        "secret",
        no_sign_in=no_sign_in,
        settings=settings,
        variant=variant,
    )


KITS = (
    DeliveryKit(
        "hubspot",
        "upsert_contact",
        SAFE,
        "hubspot",
        "objects/contacts/batch/upsert",
        {"entity_id": "{{ event.entity_id }}", "email": "{{ event.entity_id }}@example.com"},
        "token",
        "contacts/",
    ),
    DeliveryKit(
        "tryton",
        "create_purchase_order",
        SAFE,
        "tryton",
        "model.purchase.purchase.create",
        {"supplier_code": "SUP-1", "supplier_name": "Supplier One", "lines": [_ORDER_LINE]},
        "password",
        "purchase.purchase/",
        {"kind": FaultKind.VENDOR_ERROR},
    ),
    DeliveryKit(
        "tryton",
        "create_onboarding_project",
        SAFE,
        "tryton",
        "model.project.work.create",
        {"name": "Onboard {{ event.entity_id }}", **_PARTY, "tasks": ["Kick-off", "Import"]},
        "password",
        "project.work/",
        {"kind": FaultKind.VENDOR_ERROR},
    ),
    DeliveryKit(
        "slack",
        "post_message",
        ASKED,
        "slack",
        "chat.postMessage",
        {"channel": "#alerts", "text": "At risk: {{ event.entity_id }}"},
        "token",
        "",
        {"kind": FaultKind.VENDOR_ERROR},
        expired={"kind": FaultKind.VENDOR_ERROR, "code": "token_expired"},
    ),
    _hook(BLIND, "the receiver promises nothing"),
    _hook(SAFE, "the receiver acts once per id", receiver_deduplicates=True),
    DeliveryKit(
        "email",
        "send_email",
        BLIND,
        "smtp",
        "DATA",
        {"to": "ada@example.com", "subject": "At risk", "text": "{{ event.entity_id }}"},
        "password",
        refusal={"kind": FaultKind.VENDOR_ERROR},
        failure={"kind": FaultKind.STATUS, "status": 451},
        lacks=_NOT_HTTP,
    ),
)


@dataclass(frozen=True)
class Told:
    """What a case comes to: the outcome of the first attempt, ledger and destination after it, and in the end."""

    outcome: str  # verdict and reason
    ledger: str  # state and reason
    holds: int  # effects at the destination
    later: str = "delivered"
    later_holds: int = 1
    is_counted: bool = True
    pauses: bool = False

    @property
    def fails_the_destination(self) -> bool:
        """One failure towards its circuit: nothing else was asked that could show that it lies with the row."""
        return self.outcome.split()[-1] in FAILING


@dataclass(frozen=True)
class DeliveryCase:
    """One thing that happens, with what it must come to for each way of knowing after an unknown outcome."""

    name: str
    safe: Told
    asked: Told
    blind: Told
    fault: Mapping[str, Any] | None = None  # of the call that makes the effect
    happening: str = ""  # what is not a fault of the sandbox's: see first_binding
    retry_after: tuple[float, float] | None = None  # least and most seconds
    exceptions: Mapping[str, Told] = field(default_factory=dict)  # by destination
    call_deadline: float = 20.0

    def told(self, kit: DeliveryKit) -> Told:
        by_class = {SAFE: self.safe, ASKED: self.asked, BLIND: self.blind}
        return self.exceptions.get(kit.name, by_class[kit.after_unknown])


def _same(name: str, told: Told, **more: Any) -> DeliveryCase:
    return DeliveryCase(name, told, told, told, **more)


def _unknown(reason: str, holds: int) -> tuple[Told, Told, Told]:
    """What an unknown outcome comes to where the effect is, or is not, at the destination."""
    outcome = f"unknown {reason}"
    safe = Told(outcome, f"waiting {reason}", holds)
    # A destination that can be asked is asked at once; found means delivered, and not found proves nothing yet.
    asked = Told("delivered", "delivered", 1) if holds else Told(outcome, "held unknown_outcome", 0)
    blind = Told(outcome, "held unknown_outcome", holds, "held unknown_outcome", holds)
    return safe, asked, blind


_DELIVERED = Told("delivered", "delivered", 1)
_LIMITED = Told("retry rate_limited", "waiting rate_limited", 0, is_counted=False)
_SIGN_IN = Told("retry unauthorized", "waiting unauthorized", 0, is_counted=False, pauses=True)
_MAIL_LATER = Told("retry refused", "waiting refused", 0)
_ONCE: Mapping[str, Any] = {"times": 1}
_REFUSED_ACTION = Told("rejected refused", "dead refused", 0, "dead refused", 0)
_INVALID_ACTION = Told("rejected invalid_request", "dead invalid_request", 0, "dead invalid_request", 0)

CASES = (
    _same("nothing goes wrong", _DELIVERED),
    _same(
        "too many calls, seconds told",
        _LIMITED,
        fault={**_ONCE, "kind": FaultKind.RATE_LIMIT, "seconds": 7},
        retry_after=(7, 7),
        exceptions={"email": _MAIL_LATER},
    ),
    _same(
        "too many calls, a date told",
        _LIMITED,
        fault={**_ONCE, "kind": FaultKind.RATE_LIMIT, "seconds": 600, "is_http_date": True},
        retry_after=(400, 600),
    ),
    DeliveryCase(
        "server fails once", *_unknown("server_error", 0), happening="failing", exceptions={"email": _MAIL_LATER}
    ),
    DeliveryCase("request is lost", *_unknown("reply_lost", 0), fault={**_ONCE, "kind": FaultKind.DROP_BEFORE}),
    DeliveryCase("reply is lost", *_unknown("reply_lost", 1), fault={**_ONCE, "kind": FaultKind.DROP_AFTER}),
    DeliveryCase(
        "reply comes after the deadline",
        *_unknown("timed_out", 1),
        fault={**_ONCE, "kind": FaultKind.DELAY_REPLY, "seconds": 4.0},
        call_deadline=2.0,
    ),
    DeliveryCase(
        "reply that makes no sense",
        *_unknown("malformed_reply", 1),
        fault={**_ONCE, "kind": FaultKind.MALFORMED},
        exceptions={"webhook": _DELIVERED},
    ),
    DeliveryCase(
        "empty reply",
        *_unknown("malformed_reply", 1),
        fault={**_ONCE, "kind": FaultKind.EMPTY},
        exceptions={"webhook": _DELIVERED},
    ),
    _same(
        "redirect",
        Told("retry misconfigured", "waiting misconfigured", 0, is_counted=False),
        fault={**_ONCE, "kind": FaultKind.STATUS, "status": 307, "headers": {"Location": "/elsewhere"}},
    ),
    _same("wrong credential", _SIGN_IN, happening="wrong_secret"),
    _same("credential expires", _SIGN_IN, happening="expired", exceptions={"tryton": _DELIVERED}),  # a new session
    _same(
        "nobody listens",
        Told("retry unreachable", "waiting unreachable", 0, is_counted=False),
        happening="unreachable",
    ),
    _same(
        "request is refused for good",
        _REFUSED_ACTION,
        happening="refused",
        exceptions={"hubspot": _INVALID_ACTION, "webhook": _INVALID_ACTION},
    ),
    DeliveryCase("connector breaks", *_unknown("connector_failed", 0), happening="broken"),
)
