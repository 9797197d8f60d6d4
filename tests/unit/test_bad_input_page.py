"""The page on bad input names tests that exist."""

from __future__ import annotations

import re

from dagster_project.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "bad_input.md"
TESTS = PROJECT_ROOT / "tests"


def test_every_test_that_the_page_names_exists() -> None:
    text = PAGE.read_text(encoding="utf-8")
    code = {file: file.read_text(encoding="utf-8") for file in TESTS.rglob("test_*.py")}
    named = set(re.findall(r"\btest_\w+(?=[`\[])", text)) - {file.stem for file in code}
    assert len(named) > 20
    missing = [name for name in named if not any(f"def {name}(" in content for content in code.values())]
    assert missing == []
    files = set(re.findall(r"\b((?:unit|e2e)/[\w/]+\.py)", text))
    assert [name for name in files if not (TESTS / name).is_file()] == []


def test_every_test_of_bad_input_stands_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    names = [
        name
        for file in (TESTS / "e2e" / "bad_input").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert names
    assert [name for name in names if name not in text] == []
