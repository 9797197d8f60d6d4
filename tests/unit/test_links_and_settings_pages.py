"""The pages name every setting that there is, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dagster_project.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]*\.md)?#([^)\s]+)\)")


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - {"destinations"}))
def test_every_setting_is_on_its_page(name: str) -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    words = name.upper().split("_")
    endings = [f"`_{'_'.join(words[start:])}`" for start in range(1, len(words))]  # listed after their first
    assert f"`LOOP_{name.upper()}`" in page or any(ending in page for ending in endings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_anchor_that_is_linked_is_there(page: Path) -> None:
    for file, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / file).resolve() if file else page
        assert anchor in anchors_of(target), f"{page.name}: {file}#{anchor}"


def anchors_of(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
