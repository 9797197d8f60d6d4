"""Serves the console: checks first that it may listen where it is told to, then runs uvicorn until it is ended."""

from __future__ import annotations

import getpass

import uvicorn

from dagster_project.console.application import build_application
from dagster_project.console.desk import open_desk
from dagster_project.console.exposure import Exposure
from dagster_project.ledger.access import is_sign_in_required
from dagster_project.ledger.database import open_database
from dagster_project.prepare import last_catalog
from dagster_project.settings import Settings


def exposure_of(settings: Settings, host: str) -> Exposure:
    """Where the console listens and whom it believes, by the settings."""
    addresses = (one.strip() for one in settings.console_proxy_addresses.split(","))
    return Exposure(
        host=host,
        proxy_header=settings.console_proxy_header.strip(),
        proxy_addresses=frozenset(one for one in addresses if one),
        unasked_name=getpass.getuser(),
    )


def serve(settings: Settings, host: str, port: int) -> None:
    """Runs until the process is ended.

    Raises ExposureRefused where it would be open to people who have not said who they are, CatalogRefused and
    LedgerUnavailable where there is nothing to show.
    """
    exposure = exposure_of(settings, host)
    database = open_database(settings.ledger_address)
    with database.reading() as connection:
        exposure.check(is_sign_in_required(connection))
    # people stop, look and decide here while somebody's SQL is being mended: the last good catalog serves
    desk = open_desk(settings, database, lambda: last_catalog(settings)[0])
    # The proxy's headers are read by the gate, which knows whom to believe; uvicorn is to leave them alone.
    uvicorn.run(
        build_application(desk, exposure),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=5,
    )
