"""Everything that the vendors of one sandbox share: its file, its knobs, its faults and its counters."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from dagster_project.sandbox.effects import Effect, record_effect
from dagster_project.sandbox.faults import FaultBoard
from dagster_project.sandbox.settings import SandboxSettings
from dagster_project.sandbox.store import Store


@dataclass
class World:
    """The shared state of one sandbox process; `http_url` is where people find the pages, without a trailing slash."""

    store: Store
    http_url: str
    settings: SandboxSettings = field(default_factory=SandboxSettings)
    faults: FaultBoard = field(default_factory=FaultBoard)
    requests: Counter[tuple[str, str, str, int]] = field(default_factory=Counter)  # vendor, method, operation, status
    clock: Callable[[], float] = time.monotonic
    first_settings: SandboxSettings = field(init=False)

    def __post_init__(self) -> None:
        self.first_settings = self.settings

    def effect(
        self,
        vendor: str,
        operation: str,
        record: str,
        *,
        key: str | None = None,
        entity: str | None = None,
        is_created: bool = True,
        path: str | None = None,
    ) -> None:
        """Records one lasting change; `path` is the page of the record."""
        url = None if path is None else self.http_url + path
        record_effect(self.store, Effect(vendor, operation, record, key, entity, is_created, url))
