"""Every verb that the code writes into the audit trail is in the one list that the console offers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from boundaries.project_modules import modules

from dagster_project.contracts.vocabulary import AUDIT_VERBS
from dagster_project.ledger import settlement

MOVES = {
    "_move": 5,
    "_tell": 2,
    "_decide": 4,
    "_audit": 2,
    "_note": 2,
}  # functions that take a verb, and as which argument


def texts(node: ast.AST | None) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)


def written(tree: ast.AST) -> Iterator[str]:
    """Literal verbs: in an entry, as a keyword, assigned to a name `verb`, or handed to a function that takes one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "verb":
                    yield from texts(value)
        elif isinstance(node, ast.keyword) and node.arg == "verb":
            yield from texts(node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id in ("verb", "ERASING_VERB"):
                yield from texts(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MOVES:
            place = MOVES[node.func.id]
            yield from texts(node.args[place] if len(node.args) > place else None)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "Transition.of" and len(node.args) > 2:
            yield from texts(node.args[2])


def test_the_list_of_verbs_is_what_is_written() -> None:
    found = {verb for module in modules() if module.part == "ledger" for verb in written(module.tree)}
    found |= set(settlement.VERBS.values()) | {"listed", "unlisted"}  # written from a table
    assert found - set(AUDIT_VERBS) == set()
    assert set(AUDIT_VERBS) - found == set(), "nothing writes these any more"
