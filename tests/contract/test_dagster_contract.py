"""What the fast profile uses of Dagster without its promise: each part stands here as it was when it was tried.

When this fails after an update, read what changed, look at dagster_project/warm_launch, run tests/crash/
test_warm_handover.py, and only then write the new form down here.
"""

from __future__ import annotations

import importlib
import inspect
import uuid

import dagster
import pytest
from dagster import DagsterInstance, DagsterRunStatus, QueuedRunCoordinator
from dagster._cli.api import execute_run_command
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.execution.api import execute_run_iterator
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._daemon import controller
from dagster._daemon.daemon import IntervalDaemon
from dagster._grpc.types import ExecuteRunArgs

from dagster_project.warm_launch.coordinator import PromptRunCoordinator
from dagster_project.warm_launch.launcher import WarmRunLauncher

TRIED_WITH = "1.13.27"


@dagster.op
def never() -> None:
    raise AssertionError("executed a run that had ended")


@dagster.job
def ended_before() -> None:
    never()


# module, name, parameters
SIGNATURES = (
    ("dagster", "DefaultRunLauncher.__init__", ["self", "inst_data"]),
    ("dagster", "DefaultRunLauncher.launch_run", ["self", "context"]),
    ("dagster", "DefaultRunLauncher.terminate", ["self", "run_id"]),
    ("dagster._core.launcher.base", "RunLauncher.check_run_worker_health", ["self", "run"]),
    ("dagster._core.launcher.base", "RunLauncher.launch_run", ["self", "context"]),
    ("dagster", "DagsterInstance.report_engine_event",
     ["self", "message", "dagster_run", "engine_event_data", "cls", "step_key", "job_name", "run_id"]),
    ("dagster", "DagsterInstance.report_run_canceling", ["self", "run", "message"]),
    ("dagster", "DagsterInstance.report_run_canceled", ["self", "dagster_run", "message"]),
    ("dagster", "DagsterInstance.report_run_failed", ["self", "dagster_run", "message", "job_failure_data"]),
    ("dagster", "DagsterInstance.get_run_by_id", ["self", "run_id"]),
    ("dagster", "DagsterInstance.get_ref", ["self"]),
)  # fmt: skip


def test_it_is_the_version_that_the_fast_profile_was_tried_with() -> None:
    assert dagster.__version__ == TRIED_WITH, (
        f"Dagster is {dagster.__version__}; the warm launcher was tried with {TRIED_WITH}. Run this file and "
        "tests/crash/test_warm_handover.py, look at what else fails, then raise TRIED_WITH."
    )


@pytest.mark.parametrize(("module", "name", "parameters"), SIGNATURES, ids=lambda part: str(part))
def test_what_is_called_or_overridden_takes_what_it_took(module: str, name: str, parameters: list[str]) -> None:
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    now = list(inspect.signature(found).parameters)  # type: ignore[arg-type]
    assert now == parameters, f"{module}.{name} takes {now}; the warm launcher knows {parameters}"


def test_a_launch_tells_the_run_and_where_its_code_is() -> None:
    assert LaunchRunContext._fields == ("dagster_run", "workspace")
    assert "job_code_origin" in inspect.signature(dagster.DagsterRun.__new__).parameters
    assert {"code_pointer", "executable_path"} <= set(inspect.signature(RepositoryPythonOrigin.__new__).parameters)
    assert ModuleCodePointer("some.module", "defs").module == "some.module"
    assert isinstance(inspect.getattr_static(JobPythonOrigin, "executable_path"), property)


def test_health_is_told_in_the_words_that_monitoring_knows() -> None:
    assert CheckRunHealthResult._fields == ("status", "msg", "transient", "run_worker_id")
    assert {"RUNNING", "FAILED"} <= {status.name for status in WorkerStatus}


def test_a_run_is_executed_by_the_command_that_other_launchers_start() -> None:
    assert [parameter.name for parameter in execute_run_command.params] == ["input_json", "compressed_input_json"]
    assert execute_run_command.name == "execute_run"
    fields = list(inspect.signature(ExecuteRunArgs.__new__).parameters)
    assert fields == ["cls", "job_origin", "run_id", "instance_ref", "set_exit_code_on_failure"]
    source = inspect.getsource(ExecuteRunArgs.get_command_args)
    assert '"execute_run",\n            serialize_value(self),\n        ]' in source, (
        "the arguments are not the last word"
    )


@pytest.mark.parametrize("status", [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED])
def test_dagster_itself_refuses_to_execute_a_run_that_has_ended(status: DagsterRunStatus) -> None:
    """On this rests that a claim may be forgotten when its run has ended."""
    with DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(ended_before, run_id=str(uuid.uuid4()), status=status)
        events = list(execute_run_iterator(dagster.reconstructable(ended_before), run, instance))
    assert len(events) == 1
    assert any(words in (events[0].message or "") for words in ("already finished", "Not starting execution"))


def test_the_daemon_asks_the_coordinator_for_its_interval_and_takes_a_fraction() -> None:
    assert isinstance(inspect.getattr_static(QueuedRunCoordinator, "dequeue_interval_seconds"), property)
    assert 0 < PromptRunCoordinator().dequeue_interval_seconds < 1
    assert "run_coordinator.dequeue_interval_seconds" in inspect.getsource(controller)
    assert 'numeric_param(interval_seconds, "interval_seconds")' in inspect.getsource(IntervalDaemon.__init__)


def test_the_launcher_can_be_made_from_its_configuration() -> None:
    made = WarmRunLauncher.from_config_value(None, {"location_module": "m", "answer_within_seconds": 2.0})  # type: ignore[arg-type]
    assert made.supports_check_run_worker_health and not made.supports_resume_run
