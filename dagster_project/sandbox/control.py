"""A client of the control API, for tests and the command line."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from dagster_project.sandbox.effects import Effect
from dagster_project.sandbox.faults import Fault


class SandboxControl:
    """Speaks to the control API of the sandbox at `http_url` (without a trailing slash)."""

    def __init__(self, http_url: str) -> None:
        self._base = f"{http_url}/_sandbox"
        # no proxy: the sandbox is on this machine whatever the environment says
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self._base + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=30) as response:
                raw = response.read()
        except urllib.error.HTTPError as error:
            detail = error.read().decode("utf-8", "replace")
            raise ValueError(f"the sandbox refused {method} /_sandbox{path}: {error.code} {detail}") from None
        return json.loads(raw) if raw else None

    def is_healthy(self) -> bool:
        """Whether a sandbox answers."""
        try:
            return bool(self._ask("GET", "/health")["status"] == "ok")
        except (OSError, ValueError):
            return False

    def effects(self, vendor: str | None = None) -> list[Effect]:
        """Every effect so far, in order, of all vendors or of one."""
        query = "" if vendor is None else f"?vendor={vendor}"
        rows: Sequence[dict[str, Any]] = self._ask("GET", f"/effects{query}")["effects"]
        return [Effect(**{name: value for name, value in row.items() if name != "id"}) for row in rows]

    def effect_counts(self) -> dict[str, Any]:
        """Totals by vendor and operation, and the keys that created more than one record."""
        counts: dict[str, Any] = self._ask("GET", "/effects/count")
        return counts

    def requests(self) -> list[dict[str, Any]]:
        """Calls counted by vendor, method, operation and status; status 0 is a connection that a fault broke."""
        rows: list[dict[str, Any]] = self._ask("GET", "/requests")["requests"]
        return rows

    def hook_deliveries(self, name: str) -> list[dict[str, Any]]:
        """What a webhook sink has received, in order."""
        deliveries: list[dict[str, Any]] = self._ask("GET", f"/hooks/{name}")["deliveries"]
        return deliveries

    def add_fault(self, fault: Fault) -> int:
        """Switches a fault on; returns its id."""
        return int(self._ask("POST", "/faults", fault.model_dump(mode="json"))["id"])

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are on, each with how many calls it has seen and struck."""
        armed: list[dict[str, Any]] = self._ask("GET", "/faults")["faults"]
        return armed

    def remove_fault(self, fault_id: int) -> None:
        """Switches one fault off. Raises ValueError when it is not on."""
        self._ask("DELETE", f"/faults/{fault_id}")

    def clear_faults(self) -> None:
        """Switches all faults off."""
        self._ask("DELETE", "/faults")

    def change_settings(self, **changed: Any) -> dict[str, Any]:
        """Changes some of SandboxSettings; returns all. Raises ValueError for an unknown or wrong one."""
        settings: dict[str, Any] = self._ask("PATCH", "/settings", changed)
        return settings

    def add_owner(self, email: str) -> str:
        """Makes a HubSpot owner; returns its id."""
        return str(self._ask("POST", "/hubspot/owners", {"email": email})["id"])

    def expire_tryton_sessions(self) -> int:
        """Ends every Tryton session; returns how many there were."""
        return int(self._ask("POST", "/tryton/expire-sessions")["expired"])

    def reset(self) -> None:
        """Empties the sandbox: records, effects, faults, counters, settings."""
        self._ask("POST", "/reset")
