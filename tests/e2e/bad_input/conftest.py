"""The shipped signals after a sound first day, with the second day built and not yet acted upon."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from e2e.bad_input.disturbed_loop import BuiltLoop, Effects, act, effects
from e2e.loop.loop_driver import running_loop
from e2e.mistakes.planted_loop import Project

from dagster_project.cli.ticking import build_signals
from dagster_project.settings import Settings


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuiltLoop]:
    folder = tmp_path_factory.mktemp("bad_input")
    state, project = folder / "state", Project.copied_to(folder)
    with running_loop(state, project.environment) as loop:
        loop.play_day(1)
        loop.land_day(2)
        places = {"dbt_project_dir": project.dbt, "playbooks_dir": project.folder / "playbooks"}
        build_signals(Settings(_env_file=None, state_dir=state, **places))
    shutil.copytree(state, folder / "kept")
    yield BuiltLoop(state, folder / "kept", project.environment)


@pytest.fixture(scope="session")
def undisturbed(built: BuiltLoop) -> Effects:
    """What the second day's builds lead to where nothing is in the way."""
    with built.fresh() as loop:
        act(loop)
        made = effects(loop)
    assert len(made) > 40
    return made
