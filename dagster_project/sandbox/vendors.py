"""The vendors of one sandbox together, so that they start, serve and are emptied as one."""

from __future__ import annotations

from dataclasses import dataclass, field

from dagster_project.sandbox.hooks import Hooks
from dagster_project.sandbox.hubspot import HubSpot
from dagster_project.sandbox.slack import Slack
from dagster_project.sandbox.tryton import Tryton
from dagster_project.sandbox.world import World


@dataclass
class Vendors:
    """All HTTP vendors around one world."""

    world: World
    hubspot: HubSpot = field(init=False)
    tryton: Tryton = field(init=False)
    slack: Slack = field(init=False)
    hooks: Hooks = field(init=False)

    def __post_init__(self) -> None:
        self.hubspot = HubSpot(self.world)
        self.tryton = Tryton(self.world)
        self.slack = Slack(self.world)
        self.hooks = Hooks(self.world)

    def reset(self) -> None:
        """Back to the first day: no records but the seeded ones, no faults, no counts, settings as at the start."""
        self.world.store.clear()
        self.world.faults.clear()
        self.world.requests.clear()
        self.world.settings = self.world.first_settings
        for vendor in (self.hubspot, self.tryton, self.slack):
            vendor.seed()
