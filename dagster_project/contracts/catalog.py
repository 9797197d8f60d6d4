"""The compiled catalog: all that the light location knows of the signals, made from dbt's manifest and playbooks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dagster_project.contracts.playbook import PlaybookVersion
from dagster_project.contracts.signal import SignalSpec, Spec

CATALOG_FORMAT = 2
RENEW_COMMAND = "loopctl prepare"


class Problem(Spec):
    """Something a person has to mend, and where."""

    file: str
    line: int | None = None
    key: str = ""
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        remedy = f" -> {self.remedy}" if self.remedy else ""
        return f"{place}:{key} {self.message}{remedy}"


class Column(Spec):
    type: str
    description: str = ""
    is_pii: bool = False


class CatalogModel(Spec):
    """A dbt model that enrichment may read."""

    name: str
    relation: str  # as SQL names it, quoted
    columns: dict[str, Column]


class CatalogSignal(Spec):
    name: str
    unique_id: str
    relation: str
    description: str
    columns: dict[str, Column]
    spec: SignalSpec
    version: PlaybookVersion
    sources: tuple[str, ...]  # source.table, those that say when they were loaded
    tests: tuple[str, ...]  # unique ids of the error-severity tests on it
    sql_file: str
    yml_file: str
    personal_steps: tuple[str, ...] = ()  # steps whose requests may hold personal data
    reads: tuple[str, ...] = ()  # thresholds (dbt vars) that its SQL, or the SQL of anything above it, reads

    @property
    def pii_columns(self) -> frozenset[str]:
        return frozenset(name for name, column in self.columns.items() if column.is_pii)


class Quarantined(Spec):
    """A signal that cannot be used; it is shown everywhere and takes no other signal down."""

    name: str
    problems: tuple[Problem, ...]


class CaptureRelations(Spec):
    """Where the event capture writes, as SQL names it."""

    incarnation: str
    builds: str
    events: str
    state: str


class Catalog(Spec):
    format: int = CATALOG_FORMAT
    sources_hash: str
    warehouse: str
    capture: CaptureRelations
    signals: dict[str, CatalogSignal]
    quarantined: dict[str, Quarantined] = {}
    models: dict[str, CatalogModel]
    thresholds: dict[str, Any] = {}  # the repository's own values, from dbt_project.yml

    def readers_of(self, threshold: str) -> list[str]:
        """The signals that a threshold decides on."""
        return sorted(name for name, signal in self.signals.items() if threshold in signal.reads)

    def signal(self, name: str) -> CatalogSignal:
        """Raises KeyError with the names there are."""
        try:
            return self.signals[name]
        except KeyError:
            known = ", ".join(sorted(self.signals)) or "none"
            if name in self.quarantined:
                raise KeyError(f"signal {name!r} is quarantined: {self.quarantined[name].problems[0]}") from None
            raise KeyError(f"no signal {name!r} in the catalog; there are: {known}") from None

    def may_hold_personal_data(self, signal: str, step: str) -> bool:
        """Whether the requests of a signal's step may hold a column that is tagged pii, its own or looked up.

        Of a signal or step that is not known (quarantined, removed, of an earlier version) nobody can say, so it may.
        """
        known = self.signals.get(signal)
        if known is None or known.version.playbook.step(step) is None:
            return True
        return step in known.personal_steps


class CatalogRefused(Exception):
    """The catalog cannot be used as it is; nothing was read from the warehouse and nothing was sent."""


def read_catalog(file: Path) -> Catalog:
    """Reads the catalog as it was compiled last, whether or not its sources have left it behind since.

    Raises CatalogRefused where the file is missing, unreadable, or of another format.
    """
    if not file.exists():
        raise CatalogRefused(f"there is no catalog at {file} yet. Make it with `{RENEW_COMMAND}`.")
    try:
        catalog = Catalog.model_validate_json(file.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError, OSError) as error:
        raise CatalogRefused(
            f"the catalog at {file} cannot be read ({_first_line(error)}). Renew it with `{RENEW_COMMAND}`."
        ) from error
    if catalog.format != CATALOG_FORMAT:
        raise CatalogRefused(
            f"the catalog at {file} has format {catalog.format}, this code reads {CATALOG_FORMAT}. "
            f"Renew it with `{RENEW_COMMAND}`."
        )
    return catalog


def load_catalog(file: Path, sources_hash: str) -> Catalog:
    """Reads the catalog and refuses one that its sources have left behind.

    Parameters: the catalog's file; the hash of the signals and playbooks as they lie on disk now.
    Raises CatalogRefused where the file is missing, unreadable, of another format, or stale.
    """
    catalog = read_catalog(file)
    if catalog.sources_hash != sources_hash:
        raise CatalogRefused(
            f"the catalog at {file} is stale: signals, playbooks or the warehouse's settings have changed since it was "
            f"made. Nothing was sent. Renew it with `{RENEW_COMMAND}`."
        )
    return catalog


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def masked(row: Mapping[str, Any], pii: frozenset[str]) -> dict[str, Any]:
    """The row as people without the right to see personal data see it."""
    return {key: "•••" if key in pii and value is not None else value for key, value in row.items()}
