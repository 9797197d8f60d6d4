"""What every page works with: the ledger, the catalog as it is deployed now, and the figures that are kept ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from dagster_project.console.figures_keeper import CHEAP_SECONDS, FiguresKeeper
from dagster_project.console.previews import PreviewKeeper
from dagster_project.contracts.catalog import Catalog, CatalogRefused
from dagster_project.ledger.database import Database
from dagster_project.ledger.governed import Council
from dagster_project.preview.threshold_change import change_of
from dagster_project.respond.action_run import Surroundings
from dagster_project.respond.bindings import bind_roles
from dagster_project.settings import Settings


@dataclass(frozen=True)
class Deployed:
    catalog: Catalog
    refusal: str = ""  # why the file that lies there now is not used; the one of before is shown


class CatalogKeeper:
    """The catalog, read anew when its file changes. Raises CatalogRefused at first where there is none to start with.

    Parameters: the catalog's file; how it is read.
    """

    def __init__(self, file: Path, read: Callable[[], Catalog]) -> None:
        self._file, self._read, self._lock = file, read, Lock()
        self._seen = self._stamp()
        self._deployed = Deployed(read())

    def current(self) -> Deployed:
        with self._lock:
            stamp = self._stamp()
            if stamp != self._seen:
                self._seen = stamp
                self._deployed = self._reread()
            return self._deployed

    def _reread(self) -> Deployed:
        try:
            return Deployed(self._read())
        except CatalogRefused as error:
            return Deployed(self._deployed.catalog, str(error))

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


@dataclass(frozen=True)
class Desk:
    settings: Settings
    database: Database
    catalogs: CatalogKeeper
    figures: FiguresKeeper
    previews: PreviewKeeper

    def owner_of(self) -> Mapping[str, str]:
        return {name: signal.spec.owner for name, signal in self.catalogs.current().catalog.signals.items()}

    def council(self) -> Council:
        return Council(self.database, self.owner_of())


def open_desk(
    settings: Settings, database: Database, read_catalog: Callable[[], Catalog], cheap_seconds: float = CHEAP_SECONDS
) -> Desk:
    """Parameters: the settings; the ledger; how the catalog is read; how long every page may wait for exact figures.

    Raises CatalogRefused where there is no catalog to show.
    """
    catalogs = CatalogKeeper(settings.catalog_file, read_catalog)

    def look_ahead(name: str, value: Any, signals: Sequence[str]) -> Mapping[str, Any]:
        around = Surroundings(settings, catalogs.current().catalog, database, bind_roles(settings))
        return change_of(around, name, value, signals)

    figures = FiguresKeeper(database, lambda: catalogs.current().catalog, cheap_seconds)
    return Desk(settings, database, catalogs, figures, PreviewKeeper(look_ahead))
