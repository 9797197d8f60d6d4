"""Runs a Snowflake Scripting block one statement at a time, because fakesnow has no scripting of its own.

It knows what the event capture's block is made of and refuses anything else: `declare` with exceptions and variables;
plain SQL; `select ... into :variable`; `if (condition) then raise ...; end if`; `exception when other then` with a
rollback and a bare `raise`. It runs in the environment of requirements/snowflake.txt, beside fakesnow.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlglot.dialects.snowflake import Snowflake
from sqlglot.tokens import TokenType

_COMMENTS = r"(?:\s|/\*(?:(?!\*/).)*\*/)*"  # dbt adds one that names the model
EXECUTE_IMMEDIATE = re.compile(
    rf"{_COMMENTS}execute\s+immediate\s+\$\$(?P<block>.*)\$\${_COMMENTS};?{_COMMENTS}\Z", re.IGNORECASE | re.DOTALL
)
_EXCEPTION = re.compile(r"(\w+)\s+exception\s*\(\s*(-\d+)\s*,\s*'((?:[^']|'')*)'\s*\)\Z", re.IGNORECASE | re.DOTALL)
_VARIABLE = re.compile(r"(\w+)\s+integer\Z", re.IGNORECASE)
_SELECT_INTO = re.compile(r"(select\b.*?)\binto\s+:(\w+)\b(.*)\Z", re.IGNORECASE | re.DOTALL)
_RAISE_IF = re.compile(r"if\s*\((.*)\)\s*then\s+raise\s+(\w+)\Z", re.IGNORECASE | re.DOTALL)


class UnknownStatement(ValueError):
    """The block holds something that this interpreter was not written for."""


class Raised(Exception):
    """The block raised one of its own exceptions."""

    def __init__(self, name: str, number: int, message: str) -> None:
        super().__init__(f"Uncaught exception of type '{name.upper()}' : {message}")
        self.number = number


@dataclass
class Block:
    """A block taken apart: what it declares, what it runs, and what it runs when something fails."""

    exceptions: dict[str, tuple[int, str]] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    body: list[str] = field(default_factory=list)
    handler: list[str] = field(default_factory=list)


def block_of(sql: str) -> str | None:
    """The text of the block that a statement runs, or None if it runs none."""
    found = EXECUTE_IMMEDIATE.match(sql)
    return found["block"] if found else None


def statements_of(text: str) -> list[str]:
    """Split at semicolons outside quotes and comments, by the tokens of sqlglot's Snowflake dialect."""
    found, start = [], 0
    for token in Snowflake().tokenize(text):
        if token.token_type is TokenType.SEMICOLON:
            found.append(text[start : token.start].strip())
            start = token.end + 1
    return [statement for statement in [*found, text[start:].strip()] if statement]


def parse_block(text: str) -> Block:
    """Take a block apart. Raises UnknownStatement on anything that the capture does not write."""
    block = Block()
    parts = statements_of(text)
    head = re.match(r"declare\b", parts[0], re.IGNORECASE)
    if head is None or not re.match(r"end\Z", parts[-1], re.IGNORECASE):
        raise UnknownStatement("a block begins with `declare` and ends with `end;`")
    parts[0] = parts[0][head.end() :].strip()
    section = "declare"
    for part in parts[:-1]:
        rest = part
        if section == "declare" and (begin := re.match(r"begin\s+(?!transaction\b)", rest, re.IGNORECASE)):
            section, rest = "body", rest[begin.end() :].strip()
        if section == "body" and (caught := re.match(r"exception\s+when\s+other\s+then\b", rest, re.IGNORECASE)):
            section, rest = "handler", rest[caught.end() :].strip()
        _place(block, section, rest)
    return block


def _place(block: Block, section: str, part: str) -> None:
    if section == "body":
        block.body.append(part)
    elif section == "handler":
        block.handler.append(part)
    elif declared := _EXCEPTION.match(part):
        block.exceptions[declared[1].lower()] = (int(declared[2]), declared[3].replace("''", "'"))
    elif declared := _VARIABLE.match(part):
        block.variables[declared[1].lower()] = None
    else:
        raise UnknownStatement(f"not a declaration that is known: {part}")


def run_block(text: str, execute: Callable[[str], list[tuple[Any, ...]]]) -> None:
    """Run a block. Whatever its body raises is raised again once its handler has run."""
    block = parse_block(text)
    try:
        for statement in block.body:
            _run(block, statement, execute)
    except Exception:
        for statement in block.handler:
            if not re.match(r"raise\Z", statement, re.IGNORECASE):
                execute(statement)
        raise


def _run(block: Block, statement: str, execute: Callable[[str], list[tuple[Any, ...]]]) -> None:
    if re.match(r"end\s+if\Z", statement, re.IGNORECASE):
        return
    if raising := _RAISE_IF.match(statement):
        condition = re.sub(r"\b\w+\b", lambda word: str(block.variables.get(word[0].lower(), word[0])), raising[1])
        if execute(f"select {condition}")[0][0]:
            raise Raised(raising[2], *block.exceptions[raising[2].lower()])
    elif taken := _SELECT_INTO.match(statement):
        block.variables[taken[2].lower()] = execute(taken[1] + taken[3])[0][0]
    elif re.match(r"(if|for|while|let|return|call|raise)\b", statement, re.IGNORECASE):
        raise UnknownStatement(f"not a statement that is known: {statement}")
    else:
        execute(statement)
