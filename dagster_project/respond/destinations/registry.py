"""Finds the connectors by looking, so that a new vendor is one file and no list has to be kept."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from dagster_project.contracts.destination import Destination
from dagster_project.respond import destinations


@cache
def discover() -> Mapping[str, type[Destination]]:
    """Every connector of this package by its name: the `DESTINATION` class of each module that exposes one.

    Vendor SDKs are not imported before a connector makes its first call. Raises ValueError where two modules expose
    connectors of one name, since settings could then not say which is meant.
    """
    found: dict[str, type[Destination]] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(destinations.__path__)):
        connector = getattr(importlib.import_module(f"{destinations.__name__}.{module}"), "DESTINATION", None)
        if connector is None:
            continue
        if connector.name in found:
            raise ValueError(
                f"destinations/{module}.py: the name {connector.name!r} is taken by {found[connector.name]}"
            )
        found[connector.name] = connector
    return MappingProxyType(found)
