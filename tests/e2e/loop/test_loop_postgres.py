"""The same loop with the warehouse and the ledger on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from loop_driver import running_loop
from postgres_server import PostgresServer


def test_two_days_on_postgresql(tmp_path: Path, postgres_server: PostgresServer) -> None:
    warehouse, ledger = postgres_server.fresh_database("warehouse"), postgres_server.fresh_database("ledger")
    environment = {
        "LOOP_WAREHOUSE": "postgres",
        "LOOP_POSTGRES_HOST": postgres_server.host,
        "LOOP_POSTGRES_PORT": str(postgres_server.port),
        "LOOP_POSTGRES_USER": postgres_server.user,
        "LOOP_POSTGRES_PASSWORD": postgres_server.password,
        "LOOP_POSTGRES_DATABASE": warehouse,
        "LOOP_LEDGER_URL": postgres_server.url(ledger),
    }
    with running_loop(tmp_path / "state", environment) as loop:
        loop.play_day(1)
        assert not loop.sandbox.effects()
        loop.play_day(2)
        for vendor in ("hubspot", "tryton", "slack", "smtp"):
            assert loop.sandbox.effects(vendor), vendor
        status = {signal["signal"]: signal for signal in loop.status()["signals"]}
        assert status["customer_churn_risk"]["actions"]["delivered"] > 0
        assert status["deal_won"]["actions"]["delivered"] > 0
        assert "needs_approval" in status["product_low_stock"]["reasons"]["held"]
        said = loop.loopctl("status", "--prove")
        assert "BROKEN" not in said
        assert postgres_server.password not in said
        calls = loop.calls()
        loop.loopctl("tick")
        assert loop.calls() == calls
