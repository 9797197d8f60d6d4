"""One loop for all mistakes: a sound first day, then a second on which everything is planted at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from e2e.loop.loop_driver import Loop, running_loop
from e2e.mistakes.mistakes import IN_A_SIGNAL, IN_THE_PROJECT, IN_THE_ROWS, Mistake
from e2e.mistakes.planted_loop import LATER, SOUND, PlayedLoop, Project, RefusedProject


def land(loop: Loop, day: int) -> None:
    """Fixed moments, because messages that name them stand in the docs."""
    loop.loopctl("land", "--generate", "--day", str(day), "--as-of", f"2026-03-{day:02}T06:00:00")


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlayedLoop]:
    folder = tmp_path_factory.mktemp("mistakes")
    project = Project.copied_to(folder)
    for mistake in (*IN_A_SIGNAL, *IN_THE_ROWS, *IN_THE_PROJECT):
        project.add_signal(mistake.signal, mistake.playbook)
    for name in (SOUND, LATER):
        project.add_signal(name)
    with running_loop(folder / "state", project.environment) as loop:
        land(loop, 2)
        loop.loopctl("tick")
        assert loop.sandbox.effects() == [], "the first build is a baseline"
        land(loop, 3)
        plant_all(project)
        set_opportunities_back(loop)
        yield PlayedLoop(project, loop, loop.loopctl("validate", exit_status=1), loop.loopctl("tick", exit_status=1))


def plant_all(project: Project) -> None:
    for mistake in (*IN_A_SIGNAL, *IN_THE_ROWS):
        project.flag_some(mistake.signal)
        mistake.plant(project, mistake.signal)
    for name in (SOUND, LATER):
        project.flag_some(name)
    sql = project.sql(LATER)
    sql.write_text(sql.read_text("utf-8").replace("{{ utc_moment('loaded_at') }}", "loaded_at"), "utf-8")


def set_opportunities_back(loop: Loop) -> None:
    import duckdb

    with duckdb.connect(str(loop.state_dir / "warehouse.duckdb")) as connection:
        connection.execute("update landing.opportunities set loaded_at = timestamp '2026-03-01 06:00:00'")


@pytest.fixture(scope="session")
def refused_projects(played: PlayedLoop, tmp_path_factory: pytest.TempPathFactory) -> dict[Mistake, RefusedProject]:
    """Each mistake that stops the whole project, in a project of its own over the played loop's state."""
    refused = {}
    for mistake in IN_THE_PROJECT:
        project = Project.copied_to(tmp_path_factory.mktemp(mistake.name))
        project.add_signal(mistake.signal)
        mistake.plant(project, mistake.signal)
        loop = Loop(played.loop.state_dir, played.loop.sandbox, project.environment)
        before = loop.calls()
        said = [loop.loopctl(command, exit_status=1) for command in ("validate", "tick")]
        refused[mistake] = RefusedProject(said[0], said[1], loop.calls() - before)
    return refused
