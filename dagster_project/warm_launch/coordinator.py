"""Dagster's run queue with all its limits, looked at twice a second where the setting knows whole seconds only."""

from __future__ import annotations

from dagster import QueuedRunCoordinator


class PromptRunCoordinator(QueuedRunCoordinator):
    """The daemon sleeps in steps of half a second and wakes when the interval is over; a look costs a few queries."""

    @property
    def dequeue_interval_seconds(self) -> float:  # type: ignore[override]  # the daemon takes any number
        return 0.25
