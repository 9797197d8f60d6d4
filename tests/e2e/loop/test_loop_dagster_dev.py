"""Under `dagster dev`, with the sensors as they are by default, a new row reaches CRM, ERP and chat unaided."""

from __future__ import annotations

from pathlib import Path

from dagster_driver import running_dagster, until
from loop_driver import running_loop

SIGNALS = ("customer_churn_risk", "product_low_stock", "deal_won")


def test_a_newly_flagged_row_is_acted_on_without_a_hand(tmp_path: Path) -> None:
    with running_loop(tmp_path / "state") as loop:
        loop.play_day(1)
        with running_dagster(loop) as dev:
            assert dev.sensors() == {f"watch_{name}": "RUNNING" for name in SIGNALS}
            loop.land_day(2)
            build = dev.launch("transform", "build_signals")
            until("the build has ended", lambda: dev.run_status(build) in ("SUCCESS", "FAILURE"), 240)
            assert dev.run_status(build) == "SUCCESS"
            for vendor in ("hubspot", "tryton", "slack"):
                until(f"{vendor} has effects", lambda v=vendor: bool(loop.sandbox.effects(v)), 240)  # type: ignore[misc]
            until("every signal was acted on", lambda: all(dev.runs_of(f"act_on_{n}") for n in SIGNALS), 120)
            for name in SIGNALS:
                until(f"runs of {name} have ended", lambda n=name: _have_ended(dev.runs_of(f"act_on_{n}")), 120)  # type: ignore[misc]
                assert set(dev.runs_of(f"act_on_{name}")) == {"SUCCESS"}
                assert dev.metadata_of("actions", name)["delivered"] > 0
            verify = dev.launch("activate", "verify_actions")
            until("the checks have run", lambda: dev.run_status(verify) in ("SUCCESS", "FAILURE"), 120)
            assert dev.run_status(verify) == "SUCCESS"
        status = loop.loopctl("status", "--prove")
        assert "BROKEN" not in status


def _have_ended(statuses: list[str]) -> bool:
    return all(status in ("SUCCESS", "FAILURE", "CANCELED") for status in statuses)
