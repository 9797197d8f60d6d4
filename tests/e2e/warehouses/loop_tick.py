"""A sensor of the shipped project, ticking on a kit's warehouse into a ledger of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from dagster import DagsterInstance, SensorDefinition, SkipReason, build_sensor_context, job
from unit.contracts.prepared_project import prepared_project, settings_of
from warehouse_kits import Kit

from dagster_project.contracts.catalog import Catalog
from dagster_project.contracts.warehouse import WarehouseTarget
from dagster_project.detect import lookout
from dagster_project.detect.lookout import Lookout
from dagster_project.detect.sensors import Capacity, build_sensor
from dagster_project.ledger.catching_up import catch_up
from dagster_project.ledger.database import Database, open_database
from dagster_project.ledger.intake import known_builds
from dagster_project.respond.bindings import bind_roles, operations_of

SIGNAL = "customer_churn_risk"


@job(name=f"act_on_{SIGNAL}")
def act() -> None:
    """Stands for the signal's job."""


def catalog_of(kit: Kit) -> Catalog:
    """The shipped catalog with the kit's relations in place of the project's."""
    shipped = prepared_project().catalog
    signal = shipped.signals[SIGNAL].model_copy(update={"relation": kit.relation("flagged")})
    listed = shipped.models["do_not_contact"].model_copy(update={"relation": kit.relation("do_not_contact")})
    changed = {
        "capture": kit.capture,
        "signals": {SIGNAL: signal},
        "models": {**shipped.models, "do_not_contact": listed},
    }
    return shipped.model_copy(update=changed)


@dataclass
class Watch:
    """The sensor with its ledger; `target` may be swapped for another way to the same warehouse."""

    kit: Kit
    target: WarehouseTarget
    database: Database
    sensor: SensorDefinition = field(init=False)

    def __post_init__(self) -> None:
        self.catalog = catalog_of(self.kit)
        signal = self.catalog.signals[SIGNAL]
        self._operations = operations_of(signal.version, bind_roles(settings_of(Path("state"))))
        self.sensor = build_sensor(signal, act, self, Capacity(100, 3, 300, Lookout(3, 0)), 30, True)

    def catch_up(self, signal: str) -> Sequence[str]:
        reports = catch_up(self.database, self.target, self.catalog, signal, self._operations, largest_build=1000)
        return [f"took in {report.build_id}" for report in reports]

    def due(self, signal: str) -> int:
        return 0

    def most_severe(self, signal: str) -> int:
        return 0

    def gone(self, run_ids: Collection[str]) -> set[str]:
        return set()

    def watching(self, signal: str) -> AbstractContextManager[lookout.Watch | None]:
        return nullcontext(None)

    def tick(self, instance: DagsterInstance) -> str:
        """One evaluation; the reason why it asked for no run."""
        with build_sensor_context(instance=instance) as context:
            found = self.sensor(context)
        assert isinstance(found, SkipReason)
        return found.skip_message or ""

    def builds(self) -> set[str]:
        """What the ledger has taken in."""
        return set(known_builds(self.database, SIGNAL))


def watch_on(kit: Kit, folder: Path, target: WarehouseTarget | None = None) -> Watch:
    """A watch with an empty ledger in a folder."""
    return Watch(kit, target or kit.target, open_database(f"sqlite:///{folder / 'ledger.sqlite'}"))
