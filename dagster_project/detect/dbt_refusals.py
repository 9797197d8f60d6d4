"""Tells what dbt refuses of a whole project in a newcomer's words: which files, what to do, then dbt's own words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dagster_project.contracts.catalog import Problem

# Every message that dbt begins with a clock, a colour or a headline says the same without them.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CLOCK = re.compile(r"^\d\d:\d\d:\d\d\s+")
_LISTED_FILE = re.compile(r"^\s*-?\s*(?:\S+ \()?(models/[^\s)]+)\)?\s*$", re.MULTILINE)

Teller = Callable[[re.Match[str], str, Path], Problem]


def problems_in_words(said: str, dbt_project_dir: Path) -> list[Problem]:
    """What dbt's refusal of the project means; a refusal that is not known here is told in dbt's own words.

    Parameters: all that dbt printed; the dbt project's folder, for lines and for names that are close.
    """
    words = _without_headlines(said)
    for pattern, tell in _TELLERS:
        if found := pattern.search(words):
            told = tell(found, words, dbt_project_dir)
            return [told.model_copy(update={"remedy": f"{told.remedy}. dbt said: {_on_one_line(words)}"})]
    message = f"dbt cannot parse the project: {_on_one_line(words)}"
    return [
        Problem(file=dbt_project_dir.name, message=message, remedy="mend what dbt names; nothing is built until then")
    ]


def circles(manifest: Mapping[str, Any]) -> list[Problem]:
    """The models that are made from themselves by way of each other; `dbt parse` lets them pass, no build can begin."""
    models = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    return [_circle_problem(circle, models) for circle in _circles(models)]


def _circle_problem(circle: list[str], models: Mapping[str, Any]) -> Problem:
    names = [models[key]["name"] for key in circle]
    steps = zip(circle, [*names[1:], names[0]], strict=True)
    refs = [f"ref('{name}') in {models[key]['original_file_path']}" for key, name in steps]
    return Problem(
        file=models[circle[0]]["original_file_path"],
        message=f"models are made from each other in a circle: {' -> '.join([*names, names[0]])}, so none can be first",
        remedy=f"take one of these out: {', '.join(refs)}; what both need goes into a model of its own",
    )


def _circles(models: Mapping[str, Any]) -> Iterator[list[str]]:
    """Each circle once, begun at its alphabetically first model."""
    told: set[frozenset[str]] = set()
    for start in sorted(models):
        circle = _way_back(start, models)
        if circle and frozenset(circle) not in told:
            told.add(frozenset(circle))
            yield circle


def _way_back(start: str, models: Mapping[str, Any]) -> list[str]:
    """A way from a model along its inputs back to itself, shortest first; empty where there is none."""
    ways, seen = [[start]], set()
    for way in ways:
        for parent in models[way[-1]]["depends_on"]["nodes"]:
            if parent == start:
                return way
            if parent in models and parent not in seen:
                seen.add(parent)
                ways.append([*way, parent])
    return []


def _same_name(found: re.Match[str], words: str, _: Path) -> Problem:
    files = sorted(_LISTED_FILE.findall(words))
    return Problem(
        file=files[0] if files else "models",
        message=f"the name {found[1]!r} is taken: {' and '.join(files)} have it both",
        remedy="rename one of the two files, and `name:` in the YAML beside it; names are one for the whole project",
    )


def _two_entries(found: re.Match[str], words: str, folder: Path) -> Problem:
    files = sorted(_LISTED_FILE.findall(words))
    file = files[0] if files else "models"
    return Problem(
        file=file,
        line=_line_with(folder / file, f"name: {found[1]}"),
        key="models.name",
        message=f"two YAML files claim the model {found[1]!r}: {' and '.join(files)}",
        remedy=f"keep one entry `name: {found[1]}`; if the other describes another signal, give it that signal's name",
    )


def _not_found(found: re.Match[str], _: str, folder: Path) -> Problem:
    file, kind, name = found[1], found[2], found[3]
    close = [] if kind == "source" else difflib.get_close_matches(name, _model_names(folder), n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    where = "models/staging/sources.yml names the sources" if kind == "source" else "models are the .sql files' names"
    return Problem(
        file=file,
        line=_line_with(folder / file, name.rpartition(".")[2]),
        message=f"it reads {'the source' if kind == 'source' else 'the model'} {name!r}, which does not exist",
        remedy=f"{guess}correct the name; {where}",
    )


def _template(found: re.Match[str], words: str, _: Path) -> Problem:
    line = re.search(r"^\s*line (\d+)$", words, re.MULTILINE)
    return Problem(
        file=found[1],
        line=int(line[1]) if line else None,
        message=f"dbt cannot read the template: {found[2].strip()}",
        remedy="{{ ... }} holds an expression and {% ... %} a statement; close what is open",
    )


def _yaml(found: re.Match[str], _: str, __: Path) -> Problem:
    return Problem(
        file=f"models/{found[1]}",
        line=int(found[2]),
        message="not YAML: the indentation, a quote or a bracket near this line does not fit",
        remedy="compare it with a shipped signal's file; keys of one thing begin in one column",
    )


def _rendered_too_early(found: re.Match[str], _: str, folder: Path) -> Problem:
    """dbt does not say where; the first field of the text does."""
    field = found[1][found[1].find("{{") :].partition("}}")[0]
    files = sorted(folder.glob("models/**/*.yml"))
    places = ((file, line) for file in files if (line := _line_with(file, field, but_not="raw %}")))
    file, line = next(places, (folder, None))
    return Problem(
        file=file.relative_to(folder).as_posix() if line else "models",
        line=line,
        message=f"dbt fills in {{{{ }}}} in YAML itself, and knows no {found[2]!r}",
        remedy="put {% raw %} before the text and {% endraw %} behind it, inside the quotes",
    )


_TELLERS: tuple[tuple[re.Pattern[str], Teller], ...] = (
    (re.compile(r'dbt found two \w+ with the name "(\w+)"'), _same_name),
    (re.compile(r"two schema\.yml entries for the same resource named (\w+)"), _two_entries),
    (re.compile(r"\((models/\S+)\) depends on a (node|source) named '([\w.]+)' which was not found"), _not_found),
    (re.compile(r"Could not render (.*): '(\w+)' is undefined", re.DOTALL), _rendered_too_early),
    (re.compile(r"Error reading \w+: (\S+) - Runtime Error\s+Syntax error near line (\d+)"), _yaml),
    (re.compile(r"Compilation Error in \w+ \w+ \((models/\S+)\)\n(.+)"), _template),
)


def _without_headlines(said: str) -> str:
    lines = [_CLOCK.sub("", _COLOUR.sub("", line).rstrip()) for line in said.splitlines()]
    return "\n".join(line for line in lines if line and line != "Encountered an error:")


def _on_one_line(words: str) -> str:
    return " ".join(words.split())


def _model_names(folder: Path) -> list[str]:
    return sorted(file.stem for file in folder.glob("models/**/*.sql"))


def _line_with(file: Path, word: str, but_not: str | None = None) -> int | None:
    """The first line (from 1) with a word in it, and without another; None where there is none to be read."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    fitting = (n for n, line in enumerate(lines, start=1) if word in line and not (but_not and but_not in line))
    return next(fitting, None)
