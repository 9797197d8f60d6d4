"""What a reader may rely on in every file: names that say something, one idea a module, short functions."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from boundaries.project_modules import PACKAGE, Module, modules

from dagster_project.settings import PROJECT_ROOT

LONGEST_FILE = 500
LONGEST_FUNCTION = 60
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base", "core"}
# Written as patterns, so that this file does not find itself.
MACHINE_PATHS = re.compile(r"(?<![\w.~}/-])/(?:home|work|tmp|root|Users|var/folders)/[\w.-]+")
INDEX_HOSTS = re.compile(
    r"(?:pypi\.(?:org|python)|files\.pythonhosted|artifactory|[\w.-]+/simple/?\b|--(?:extra-)?index-url\s+\S+)", re.I
)


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
def test_a_module_says_why_it_exists(module: Module) -> None:
    if not module.tree.body:
        assert module.file.name == "__init__.py"
        return
    docstring = ast.get_docstring(module.tree)
    assert docstring, f"{module.name} has no docstring"
    sentence = docstring.split("\n\n")[0].replace("\n", " ").strip()
    assert sentence.endswith((".", "?")), f"{module.name}: {sentence!r} is no sentence"
    assert len(sentence.split()) >= 4, f"{module.name}: {sentence!r} says too little"


def test_no_file_and_no_function_is_too_long() -> None:
    long = []
    for module in modules():
        lines = module.file.read_text(encoding="utf-8").count("\n")
        if lines > LONGEST_FILE:
            long.append(f"{module.name}: {lines} lines")
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            is_migration = "migrations.versions" in module.name  # one statement a table, in order
            if length > LONGEST_FUNCTION and not is_migration:
                long.append(f"{module.name}.{node.name}: {length} lines")
    assert long == []


def test_names_say_something() -> None:
    for module in modules():
        words = module.name.split(".")[1:]
        assert not EMPTY_NAMES & set(words), module.name
        assert module.file.name != "signals.py", module.name


def test_nothing_was_put_off() -> None:
    unfinished = re.compile(r"#[^\"'\n]*\b(TODO|FIXME|XXX|HACK)\b")
    for module in modules():
        assert not unfinished.search(module.file.read_text(encoding="utf-8")), module.name


@pytest.mark.parametrize("part", ["contracts", "settings", "detect", "verify"])
def test_what_people_read_and_write_names_truths_with_is(part: str) -> None:
    """The words of YAML, catalog, settings and status; a vendor's own setting keeps the vendor's word."""
    wrong = [
        f"{module.name}.{owner.name}.{ast.unparse(field.target)}"
        for module in modules()
        if module.part == part
        for owner in ast.walk(module.tree)
        if isinstance(owner, ast.ClassDef)
        for field in owner.body
        if isinstance(field, ast.AnnAssign)
        and ast.unparse(field.annotation) in ("bool", "StrictBool", "StrictBool | None")
        and not ast.unparse(field.target).startswith("is_")
    ]
    assert wrong == []


# --- files of the repository


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT_ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    return [file for name in listed.stdout.split("\0") if name and (file := PROJECT_ROOT / name).is_file()]


def texts() -> Iterator[tuple[str, str]]:
    for file in tracked():
        name = file.relative_to(PROJECT_ROOT).as_posix()
        try:
            yield name, file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # no text


@pytest.mark.parametrize(
    ("pattern", "what"), [(MACHINE_PATHS, "a path of one machine"), (INDEX_HOSTS, "a package index")]
)
def test_no_file_speaks_of_the_machine_it_was_written_on(pattern: re.Pattern[str], what: str) -> None:
    this = Path(__file__).relative_to(PROJECT_ROOT).as_posix()
    found = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()}"
        for name, text in texts()
        if name != this
        for match in pattern.finditer(text)
    ]
    assert found == [], what


def test_the_scan_would_find_what_it_looks_for() -> None:
    assert MACHINE_PATHS.search('file = "/home/me/x"')
    assert MACHINE_PATHS.search("see /" + "work/main/x")
    assert not MACHINE_PATHS.search("tests/tmp/x and {state}/tmp/x")
    assert INDEX_HOSTS.search("https://pypi.org/project/x")
    assert INDEX_HOSTS.search("--index-url https://somewhere/simple")


def test_the_package_is_all_in_one_place() -> None:
    assert {module.name.split(".")[0] for module in modules()} == {PACKAGE}
