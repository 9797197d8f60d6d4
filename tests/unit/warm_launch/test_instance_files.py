"""Both profiles keep the queue's limits and the pools; the fast one changes how runs begin and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance, QueuedRunCoordinator
from unit.contracts.prepared_project import settings_of

from dagster_project.instance_files import dagster_home, instance_yaml
from dagster_project.warm_launch.coordinator import PromptRunCoordinator
from dagster_project.warm_launch.launcher import WarmRunLauncher


@pytest.mark.parametrize("profile", ["standard", "fast"])
def test_the_queue_has_its_limits_in_both_profiles(tmp_path: Path, profile: str) -> None:
    home = dagster_home(settings_of(tmp_path, profile=profile))
    with DagsterInstance.from_config(str(home)) as instance:
        concurrency = instance.get_concurrency_config()
        queue, pools = concurrency.run_queue_config, concurrency.pool_config
        assert queue is not None and queue.max_concurrent_runs == 8
        assert pools.default_pool_limit == 4 and str(pools.pool_granularity) == "PoolGranularity.RUN"
        assert instance.run_monitoring_enabled
        assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
        assert instance.get_settings("sensors")["use_threads"]
        is_fast = isinstance(instance.run_launcher, WarmRunLauncher)
        assert is_fast == isinstance(instance.run_coordinator, PromptRunCoordinator) == (profile == "fast")


def test_the_fast_profile_differs_in_three_sections_only() -> None:
    standard, fast = (yaml.safe_load(instance_yaml(profile)) for profile in ("standard", "fast"))
    differing = {name for name in standard | fast if standard.get(name) != fast.get(name)}
    assert differing == {"run_launcher", "run_coordinator", "run_monitoring"}
