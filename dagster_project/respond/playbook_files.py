"""Reads the playbooks from their YAML files: each one whole, or as the list of what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from dagster_project.contracts.catalog import Problem
from dagster_project.contracts.playbook import Playbook
from dagster_project.contracts.validation import line_of, problems_of


@dataclass(frozen=True)
class PlaybookFile:
    """A valid playbook with the text it came from, for the lines of later problems."""

    playbook: Playbook
    file: str
    text: str

    def problem(self, path: list[str | int], message: str, remedy: str = "") -> Problem:
        key = ".".join(str(part) for part in path)
        return Problem(file=self.file, line=line_of(self.text, path), key=key, message=message, remedy=remedy)


@dataclass(frozen=True)
class PlaybookFiles:
    playbooks: dict[str, PlaybookFile]
    problems: dict[str, tuple[Problem, ...]]  # by the name that the file's name promises


def read_playbooks(folder: Path) -> PlaybookFiles:
    """Every `<name>.yaml` of the folder."""
    playbooks: dict[str, PlaybookFile] = {}
    problems: dict[str, tuple[Problem, ...]] = {}
    for file in sorted(folder.glob("*.yaml")):
        result = _read_playbook(file)
        if isinstance(result, PlaybookFile):
            playbooks[file.stem] = result
        else:
            problems[file.stem] = tuple(result)
    return PlaybookFiles(playbooks=playbooks, problems=problems)


def _read_playbook(file: Path) -> PlaybookFile | list[Problem]:
    name = f"playbooks/{file.name}"
    try:
        text = file.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        return [
            Problem(file=name, message=f"not UTF-8: {error.reason} at byte {error.start}", remedy="save it as UTF-8")
        ]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        return [Problem(file=name, line=line, message=f"not YAML: {getattr(error, 'problem', error)}")]
    if isinstance(content, dict):
        content = _with_on_as_a_word(content)
    try:
        playbook = Playbook.model_validate(content)
    except ValidationError as error:
        return problems_of(error, Playbook, name, text, [])
    if playbook.name != file.stem:
        remedy = "give both one name"
        return [
            Problem(
                file=name,
                line=line_of(text, ["name"]),
                key="name",
                message=f"{playbook.name!r} stands in {file.name}",
                remedy=remedy,
            )
        ]
    return PlaybookFile(playbook=playbook, file=name, text=text)


def _with_on_as_a_word(content: dict[object, object]) -> dict[object, object]:
    """YAML 1.1 reads the bare key `on` as true; a step's `on` is a word here."""
    steps = content.get("steps")
    if isinstance(steps, list):
        mended = [
            {("on" if key is True else key): v for key, v in step.items()} if isinstance(step, dict) else step
            for step in steps
        ]
        return {**content, "steps": mended}
    return content
