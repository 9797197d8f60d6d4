"""What loopctl says and how it ends, command by command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from unit.cli.calling import Loopctl
from unit.contracts.prepared_project import prepared_project

from dagster_project.cli.main import main
from dagster_project.settings import settings

LEVERS = ("approve", "reject", "replay", "discard")
NEEDS_CATALOG = (
    ("status",),
    ("explain", "c1"),
    ("held",),
    ("approve", "id", "--why", "x"),
)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_explains_itself(loopctl: Loopctl, command: str) -> None:
    result = loopctl(command, "--help")
    assert result.exit_code == 0
    assert f"Usage: main {command}" in result.output
    assert (main.commands[command].help or "").split(".")[0].split(";")[0].split(",")[0][:40] in " ".join(
        result.output.split()
    )


def test_help_names_every_command_the_documentation_promises(loopctl: Loopctl) -> None:
    result = loopctl("--help")
    assert result.exit_code == 0
    promised = {"demo", "dev", "tick", "prepare", "land", "status", "explain", "held", "pause", "resume", *LEVERS}
    assert promised <= {
        line.split()[0] for line in result.output.splitlines() if line.startswith("  ") and line.strip()
    }


@pytest.mark.parametrize(
    "words", [("nonsense",), ("land", "--day", "x"), ("status", "--prof"), ("explain",), ("approve",)]
)
def test_what_is_no_command_is_a_usage_error(loopctl: Loopctl, words: tuple[str, ...]) -> None:
    result = loopctl(*words)
    assert result.exit_code == 2
    assert "Usage:" in result.output


@pytest.mark.parametrize("words", [("land",), ("land", "--generate", "--from", "files")])
def test_land_wants_one_choice(loopctl: Loopctl, words: tuple[str, ...]) -> None:
    result = loopctl(*words)
    assert result.exit_code == 2
    assert "say either --generate or --from DIR" in result.output


def test_land_from_nowhere_says_so(loopctl: Loopctl, tmp_path: Path) -> None:
    result = loopctl("land", "--from", str(tmp_path / "nowhere"))
    assert result.exit_code == 1
    assert "nowhere" in result.output
    assert "Traceback" not in result.output


def test_land_fills_the_state_that_it_is_given(loopctl: Loopctl, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    result = loopctl("--state", str(elsewhere), "land", "--generate", "--customers", "20", "--as-of", "2026-11-24")
    assert result.exit_code == 0, result.output
    assert "Landed, data as of 2026-11-24 00:00 UTC" in result.output
    assert (elsewhere / "warehouse.duckdb").exists()


@pytest.mark.parametrize("words", NEEDS_CATALOG)
def test_without_a_catalog_the_command_that_makes_it_is_named(loopctl: Loopctl, words: tuple[str, ...]) -> None:
    result = loopctl(*words)
    assert result.exit_code == 1
    assert "Error: there is no catalog" in result.output
    assert "`loopctl prepare`" in result.output


@pytest.fixture
def left_behind(prepared_loopctl: Loopctl, environment: pytest.MonkeyPatch) -> Loopctl:
    """loopctl where the project's settings have changed since the catalog was made."""
    environment.setenv("LOOP_WAREHOUSE_SCHEMA", "other")
    return prepared_loopctl


@pytest.mark.parametrize("words", [("preview", "deal_won"), ("go-live", "deal_won", "--why", "x", "--yes")])
def test_what_leads_to_action_refuses_a_stale_catalog(
    left_behind: Loopctl, environment: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...]
) -> None:
    environment.setattr("dagster_project.prepare.prepare_if_stale", lambda chosen: None)
    result = left_behind(*words)
    assert result.exit_code == 1
    assert "is stale" in result.output
    assert "Nothing was sent" in result.output


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("held",),
        ("stop-all", "--why", "x"),
        ("pause", "signal:deal_won", "--why", "x"),
        ("go-shadow", "deal_won", "--why", "x"),
        ("alerts",),
        ("audit", "verify"),
        ("criteria", "list"),
    ],
)
def test_looking_and_stopping_go_by_the_last_catalog_and_say_so(left_behind: Loopctl, words: tuple[str, ...]) -> None:
    result = left_behind(*words)
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("warning: the catalog of ")
    assert "is older than the project's files or settings" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_warning_is_no_part_of_what_machines_read(left_behind: Loopctl) -> None:
    assert json.loads(left_behind("status", "--json").stdout)["is_well"] is True


@pytest.mark.parametrize("catalog", [None, "{ not a catalog"])
def test_everything_stops_and_goes_on_without_any_catalog(
    loopctl: Loopctl, environment: pytest.MonkeyPatch, tmp_path: Path, catalog: str | None
) -> None:
    environment.setenv("LOOP_DESTINATIONS__HUBSPOT__TOKN", "sesame")  # what a run needs is broken as well
    if catalog:
        (tmp_path / "state").mkdir(exist_ok=True)
        (tmp_path / "state" / "catalog.json").write_text(catalog)
    stopped = loopctl("stop-all", "--why", "x")
    assert stopped.exit_code == 0, stopped.output
    assert "everything is stopped" in stopped.stdout
    assert stopped.stderr.startswith("warning: ")
    assert "everything was stopped already" in loopctl("stop-all", "--why", "x").stdout
    assert loopctl("pause", "destination:hubspot", "--why", "x").stdout == "destination:hubspot is paused\n"
    assert loopctl("resume", "all", "--why", "x").stdout == "all goes on\n"


def test_a_binding_that_is_refused_ends_in_a_sentence_without_the_value(
    prepared_loopctl: Loopctl, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LOOP_DESTINATIONS__HUBSPOT__TOKN", "sesame")
    result = prepared_loopctl("status")
    assert result.exit_code == 1
    assert "Error: LOOP_DESTINATIONS__HUBSPOT__*: " in result.output
    assert "sesame" not in result.output


def test_a_ledger_that_cannot_be_opened_ends_in_a_sentence(
    prepared_loopctl: Loopctl, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    environment.setenv("LOOP_LEDGER_URL", f"sqlite:///{tmp_path / 'file' / 'ledger.sqlite'}")
    result = prepared_loopctl("status")
    assert result.exit_code == 1
    assert "cannot be opened" in result.output
    assert "Nothing was sent" in result.output


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LOOP_WAREHOUSE", "oracle"),
        ("LOOP_POSTGRES_PORT", "many"),
        ("LOOP_BINDINGS", "sesame"),
        ("LOOP_LEDGER_URL", "sesame"),
    ],
)
def test_a_setting_that_is_refused_ends_in_a_sentence(
    prepared_loopctl: Loopctl, environment: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    environment.setenv(variable, value)
    result = prepared_loopctl("status")
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert variable in result.output
    assert "sesame" not in result.output


def test_a_warehouse_that_cannot_be_read_yet_ends_in_a_sentence(
    loopctl: Loopctl, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LOOP_WAREHOUSE", "snowflake")
    result = loopctl("land", "--generate")
    assert result.exit_code == 1
    assert "Error: LOOP_WAREHOUSE=snowflake" in result.output


# --- with a catalog and a new ledger


def test_status_of_a_new_ledger_is_well(prepared_loopctl: Loopctl) -> None:
    result = prepared_loopctl("status", "--prove")
    assert result.exit_code == 0, result.output
    for name in prepared_project().catalog.signals:
        assert name in result.output
    assert "BROKEN" not in result.output


def test_status_as_json_is_json(prepared_loopctl: Loopctl) -> None:
    result = prepared_loopctl("status", "--json", "--prove")
    assert result.exit_code == 0
    found = json.loads(result.output)
    assert found["is_well"] is True
    assert {signal["signal"] for signal in found["signals"]} == set(prepared_project().catalog.signals)
    assert all(law["broken"] == 0 for law in found["laws"])


def test_pause_keeps_and_resume_lets_go(prepared_loopctl: Loopctl) -> None:
    assert prepared_loopctl("pause", "signal:deal_won", "--why", "a test").output == "signal:deal_won is paused\n"
    assert "was paused already" in prepared_loopctl("pause", "signal:deal_won", "--why", "again").output
    status = prepared_loopctl("status")
    assert status.exit_code == 1
    assert "paused: signal:deal_won by " in status.output
    assert "a test" in status.output
    assert prepared_loopctl("resume", "signal:deal_won", "--why", "done").output == "signal:deal_won goes on\n"
    assert prepared_loopctl("status").exit_code == 0
    assert "nothing was paused under the name" in prepared_loopctl("resume", "signal:deal_won", "--why", "x").output


@pytest.mark.parametrize("subject", ["deal_won", "signal:deal_lost", "destination:crm", "everything", ""])
def test_a_subject_that_there_is_not_cannot_be_paused(prepared_loopctl: Loopctl, subject: str) -> None:
    result = prepared_loopctl("pause", subject, "--why", "x")
    assert result.exit_code == 2
    assert "is none of: all, signal:" in result.output
    assert "destination:hubspot" in result.output
    assert prepared_loopctl("status").exit_code == 0


@pytest.mark.parametrize("lever", LEVERS)
def test_a_lever_without_a_selection_changes_nothing(prepared_loopctl: Loopctl, lever: str) -> None:
    result = prepared_loopctl(lever, "--why", "x")
    assert result.exit_code == 2
    assert "say which: ids, a signal, a destination, a reason or a time range. Nothing was changed." in result.output


@pytest.mark.parametrize("lever", [*LEVERS, "pause", "resume"])
def test_a_lever_wants_a_reason(prepared_loopctl: Loopctl, lever: str) -> None:
    result = prepared_loopctl(lever, "all")
    assert result.exit_code == 2
    assert "--why" in result.output


@pytest.mark.parametrize("lever", [*LEVERS, "mark-done"])
@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (("--signal", "deal_won"), "no work has the signal 'deal_won'; there is: none"),
        (("--reason", "volume_gard"), "no work has the reason 'volume_gard'; there is: none"),
        (("--since", "2026-11-01"), "no work matches all that was given together"),
        (("nobody",), "no action, group or event has the id nobody"),
    ],
)
def test_a_lever_that_finds_nothing_says_why(
    prepared_loopctl: Loopctl, lever: str, chosen: tuple[str, ...], told: str
) -> None:
    result = prepared_loopctl(lever, *chosen, "--why", "x", "--who", "me")  # and asks nothing
    assert result.exit_code == 1
    assert result.stdout == f"{lever}: 0 actions and groups\n"
    assert result.stderr == f"Error: nothing was changed: {told}\n"


def test_stop_all_stops_and_resume_all_goes_on(prepared_loopctl: Loopctl) -> None:
    assert "everything is stopped; `loopctl resume all` goes on" in prepared_loopctl("stop-all", "--why", "x").output
    assert "stopped already" in prepared_loopctl("stop-all", "--why", "x").output
    assert prepared_loopctl("status").exit_code == 1
    assert prepared_loopctl("resume", "all", "--why", "x").output == "all goes on\n"
    assert prepared_loopctl("status").exit_code == 0


def test_nobody_of_that_name_is_no_story(prepared_loopctl: Loopctl) -> None:
    result = prepared_loopctl("explain", "nobody")
    assert result.exit_code == 1
    assert "the ledger knows no entity, event, action or group 'nobody'" in result.output


def test_nothing_is_held_in_a_new_ledger(prepared_loopctl: Loopctl) -> None:
    result = prepared_loopctl("held")
    assert (result.exit_code, result.output) == (0, "nothing is held\n")


def test_the_state_option_is_for_one_process(loopctl: Loopctl, environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("LOOP_STATE_DIR", str(tmp_path / "of-the-environment"))
    loopctl("--state", str(tmp_path / "given"), "held")
    assert settings().state_dir == tmp_path / "given"
    assert os.environ["LOOP_STATE_DIR"] == str(tmp_path / "given")


def test_a_misspelt_var_of_a_preview_is_refused_with_the_name_that_was_meant(prepared_loopctl: Loopctl) -> None:
    result = prepared_loopctl("preview", "customer_churn_risk", "--var", "churn_treshold=0.8")
    assert result.exit_code == 2
    assert "--var churn_treshold: there is no such var; did you mean 'churn_threshold'? There are: " in result.output
