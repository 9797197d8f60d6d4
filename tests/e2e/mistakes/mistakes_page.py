"""Writes docs/mistakes.md from what the commands said."""

# ruff: noqa: E501 - the words of pages and messages are not broken

from __future__ import annotations

from collections.abc import Iterator, Mapping

from e2e.mistakes.mistakes import Mistake

Said = Mapping[Mistake, str]

HEAD = """\
# Mistakes, and what is said of them

Twenty mistakes that are easily made, each planted into a copy of this project by `tests/e2e/mistakes`, and the message that it gives. Nothing was sent in any of these cases. Made by
`LOOP_WRITE_DOCS=1 .venv/bin/python -m pytest tests/e2e/mistakes`.

A message reads `file:line: key: what is wrong -> what to do`. `loopctl validate` tells all of them at once and ends with exit status 1; `loopctl prepare` and `loopctl tick` find the same.
"""
CHECKED = """\
## Refused before anything is built

The signal is quarantined: shown by `prepare`, `status` and Dagster, neither detected nor acted upon. Every other signal goes on.
"""
WHOLE = """\
## Refused by dbt as a whole

dbt takes a project whole or not at all, and its own words stand behind the message. Nothing is built and nothing is sent until this is mended; what the ledger knows stays as it is.
"""
BUILT = """\
## Refused or held by the build

What is wrong is in the rows, so only a build can tell (`loopctl preview` tells it too, before one). The build of that signal captures nothing; every other signal goes on, and the next sound build catches up.
"""
FEET = """\
## Flaws in files

Rows and files that cannot be read are not mistakes of a signal: [bad input](bad_input.md) has those.
"""


def mistakes_page(checked: Said, whole: Said, built: Said) -> str:
    parts = [HEAD, CHECKED, *_table(checked), "", WHOLE, *_table(whole), "", BUILT, *_table(built), "", FEET]
    return "\n".join(parts)


def _table(said: Said) -> Iterator[str]:
    yield "| mistake | planted | said |"
    yield "|---|---|---|"
    for mistake, line in said.items():
        yield f"| {mistake.title} | {_cell(mistake.planted)} | `{_cell(_own_words(line))}` |"


def _own_words(line: str) -> str:
    """Without what dbt said, whose order of files is another each time."""
    return line.partition(". dbt said: ")[0]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
