"""The project's modules with what each of them imports, read from their syntax trees."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass
from pathlib import Path

from dagster_project.settings import PROJECT_ROOT

PACKAGE = "dagster_project"


@dataclass(frozen=True)
class Module:
    name: str  # dagster_project.respond.templating
    file: Path
    tree: ast.Module

    @property
    def part(self) -> str:
        """The first name below the package: a stage's folder, or a module of its own."""
        return self.name.split(".")[1] if "." in self.name else ""

    def imports(self, is_at_load: bool = False) -> set[str]:
        """The modules that are imported anywhere in this one, or only by loading it; none is relative."""
        nodes = _loaded(self.tree) if is_at_load else ast.walk(self.tree)
        found: set[str] = set()
        for node in nodes:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name}: a relative import"
                found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
        return found

    def project_imports(self) -> set[str]:
        """The parts of the project that this module imports."""
        inner = (name.split(".") for name in self.imports() if name.startswith(f"{PACKAGE}."))
        return {parts[1] for parts in inner}


def _loaded(tree: ast.AST) -> list[ast.AST]:
    """The nodes that run when a module is loaded: what stands in functions and under TYPE_CHECKING does not."""
    found: list[ast.AST] = []
    for node in ast.iter_child_nodes(tree):
        is_for_types = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_for_types:
            continue
        found += [node, *_loaded(node)]
    return found


@functools.cache
def modules() -> tuple[Module, ...]:
    found = []
    for file in sorted((PROJECT_ROOT / PACKAGE).rglob("*.py")):
        name = ".".join(file.relative_to(PROJECT_ROOT).with_suffix("").parts).removesuffix(".__init__")
        found.append(Module(name, file, ast.parse(file.read_text(encoding="utf-8"))))
    return tuple(found)
