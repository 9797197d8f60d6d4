"""Judges statements written for Snowflake without a Snowflake: by sqlglot's dialect, and where that is too lenient."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import sqlglot
from scripting_block import block_of, parse_block
from sqlglot import exp

# sqlglot keeps these as text; each is plain Snowflake
KNOWN_AS_TEXT = re.compile(r"show user functions in [\w.\"]+\s*\Z", re.IGNORECASE)
_IF = re.compile(r"if\s*\((.*)\)\s*then\s+raise\s+\w+\Z", re.IGNORECASE | re.DOTALL)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Defect:
    """Why a statement would not run on Snowflake, or not mean there what it means elsewhere."""

    statement: str
    why: str


def parts_of(sql: str) -> list[str]:
    """A statement as it is, or the statements of the block that it runs."""
    text = block_of(sql)
    if text is None:
        return [_COMMENT.sub("", sql).strip()]
    block = parse_block(text)
    bare = ("end if", "raise", "rollback", "commit", "begin transaction")
    return [part for part in [*block.body, *block.handler] if part.lower() not in bare]


def defects_of(sql: str) -> Iterator[Defect]:
    """What is wrong with a statement; nothing if sqlglot reads it as Snowflake's and nothing lenient is in it."""
    for part in parts_of(sql):
        condition = _IF.match(part)
        try:
            trees = sqlglot.parse(f"select {condition[1]}" if condition else part, read="snowflake")
        except sqlglot.errors.SqlglotError as error:
            yield Defect(part, f"not Snowflake's syntax: {str(error).splitlines()[0]}")
            continue
        for tree in trees:
            if tree is not None:
                yield from (Defect(part, why) for why in _too_lenient(tree, part))


def _too_lenient(tree: exp.Expression, part: str) -> Iterator[str]:
    if isinstance(tree, exp.Command) and not KNOWN_AS_TEXT.match(part):
        yield "sqlglot does not look into it"
    for test in tree.find_all(exp.Is):
        if isinstance(test.expression, exp.Boolean):
            yield f"`{test.sql('snowflake')}`: in Snowflake IS is for null only; use coalesce"
    for match in tree.find_all(exp.RegexpLike, exp.RegexpFullMatch):
        shown = match.sql("snowflake")[:80]
        yield f"`{shown}`: Snowflake anchors the pattern at both ends; use regexp_substr(...) is not null"
    for extreme in tree.find_all(exp.Greatest, exp.Least):
        if any(isinstance(argument, exp.Null) for argument in extreme.iter_expressions()):
            yield "greatest and least are null in Snowflake where one argument is"
