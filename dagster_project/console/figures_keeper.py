"""Keeps the overview's figures ready: exact while they are cheap, else of a moment ago and counted anew meanwhile."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Condition, Thread

from dagster_project.console.figures import Figures, read_figures
from dagster_project.contracts.catalog import Catalog
from dagster_project.ledger.database import Database

CHEAP_SECONDS = 0.05  # below this every page counts for itself
REST_FACTOR = 10  # counting takes at most a tenth of the time
FIRST_WAIT_SECONDS = 30.0

log = logging.getLogger(__name__)


class FiguresKeeper:
    """Parameters: the ledger; where the catalog is had from; how many seconds of counting every page may wait for."""

    def __init__(
        self, database: Database, catalog: Callable[[], Catalog], cheap_seconds: float = CHEAP_SECONDS
    ) -> None:
        self._database, self._catalog, self._cheap_seconds = database, catalog, cheap_seconds
        self._changed = Condition()
        self._figures: Figures | None = None
        self._failure: BaseException | None = None
        self._counted_at = 0.0  # monotonic seconds
        self._took = 0.0
        self._is_counting = False

    def current(self) -> Figures:
        """The figures: counted now where that is cheap, else the newest there are. Raises what the counting raised
        where there are none yet."""
        with self._changed:
            figures = self._figures
            is_cheap = figures is not None and self._took < self._cheap_seconds
        if is_cheap:
            return self._count()
        self._begin_if_due()
        return self._newest()

    def forget(self) -> None:
        """Has the figures counted anew soon, because a person has changed something."""
        with self._changed:
            self._counted_at = 0.0

    def _newest(self) -> Figures:
        with self._changed:
            is_there = self._changed.wait_for(lambda: self._figures or self._failure, FIRST_WAIT_SECONDS)
            if self._figures is not None:
                return self._figures
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            assert not is_there
            raise TimeoutError("the ledger's figures are still being counted; try again in a moment")

    def _begin_if_due(self) -> None:
        with self._changed:
            rest = self._took * REST_FACTOR
            if self._is_counting or (self._figures and time.monotonic() - self._counted_at < rest):
                return
            self._is_counting = True
        Thread(target=self._count_beside, name="figures", daemon=True).start()

    def _count_beside(self) -> None:
        failure: BaseException | None = None
        try:
            self._count()
        except Exception as error:  # noqa: BLE001 - told to whoever asks next, and tried again then
            log.warning("the figures could not be counted: %s", error)
            failure = error
        with self._changed:
            self._is_counting, self._failure = False, failure
            self._changed.notify_all()

    def _count(self) -> Figures:
        began = time.monotonic()
        with self._database.reading() as connection:
            figures = read_figures(connection, self._catalog(), self._database.now())
        with self._changed:
            self._figures, self._failure = figures, None
            self._took, self._counted_at = time.monotonic() - began, time.monotonic()
        return figures
