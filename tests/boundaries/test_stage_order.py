"""Data flows one way: no stage imports a later one, and what decides does no I/O."""

from __future__ import annotations

import ast

import pytest
from boundaries.project_modules import PACKAGE, Module, modules

# Folder order is data order. A part may import itself and what stands above it, nothing beside it.
STAGES = (
    {"contracts", "crash_points"},
    {"settings"},
    {"land", "detect"},
    {"ledger"},
    {"respond"},
    {"verify"},
    {"prepare", "instance_files"},
    {"runtime"},
    {"preview", "validate", "catalogue", "retention"},
    {"console", "warm_launch"},
    {"transform", "activate", "cli"},
)
# What a module may import besides earlier stages and its own.
ALLOWED_BESIDE = {
    "cli": {"sandbox"},  # `loopctl demo` and `dev` run it
    "sandbox": set(),
}
PURE = (
    "contracts.conditions",
    "contracts.playbook",
    "contracts.signal",
    "contracts.event",
    "contracts.vocabulary",
    "ledger.planning",
    "ledger.lanes",
    "ledger.retention",
    "ledger.retry_policy",
    "respond.templating",
    "respond.destinations.outcome_mapping",
)
IO_MODULES = {
    "sqlalchemy", "aiohttp", "duckdb", "psycopg2", "requests", "urllib", "http", "socket", "smtplib", "subprocess",
    "sqlite3", "os", "shutil", "tempfile", "pathlib", "io", "slack_sdk", "dagster", "time", "asyncio",
}  # fmt: skip
IO_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}


def of_part(part: str) -> list[Module]:
    return [module for module in modules() if module.part == part]


def level_of(part: str) -> int:
    return next(level for level, parts in enumerate(STAGES) if part in parts)


def test_every_part_of_the_project_has_its_stage() -> None:
    parts = {module.part for module in modules()} - {""}
    assert parts == {part for stage in STAGES for part in stage} | {"sandbox"}


@pytest.mark.parametrize("part", sorted({part for stage in STAGES for part in stage}))
def test_no_stage_imports_a_later_one(part: str) -> None:
    earlier = {other for level, parts in enumerate(STAGES) if level < level_of(part) for other in parts}
    allowed = earlier | {part} | ALLOWED_BESIDE.get(part, set())
    for module in of_part(part):
        beyond = module.project_imports() - allowed
        if module.name.startswith(f"{PACKAGE}.respond.destinations"):
            beyond -= {"sandbox"}
        assert not beyond, f"{module.name} imports {sorted(beyond)}"


def test_contracts_know_nothing_of_the_project_but_themselves() -> None:
    for module in of_part("contracts"):
        assert module.project_imports() <= {"contracts"}, module.name


def test_destinations_know_neither_dagster_nor_the_ledger() -> None:
    connectors = [m for m in modules() if m.name.startswith(f"{PACKAGE}.respond.destinations.")]
    assert len(connectors) >= 5
    for module in connectors:
        assert module.project_imports() <= {"contracts", "respond", "sandbox"}, module.name
        own = {name for name in module.imports() if name.startswith(f"{PACKAGE}.respond")}
        assert all(
            name.startswith(f"{PACKAGE}.respond.destinations") or name == f"{PACKAGE}.respond" for name in own
        ), module.name
        from_sandbox = {name for name in module.imports() if name.startswith(f"{PACKAGE}.sandbox.")}
        assert all(name.startswith(f"{PACKAGE}.sandbox.credentials") for name in from_sandbox), module.name
        assert not {name.split(".")[0] for name in module.imports()} & {"dagster", "sqlalchemy", "alembic"}, module.name


def test_the_sandbox_is_imported_by_nobody_else() -> None:
    for module in modules():
        if "sandbox" in module.project_imports():
            is_connector = module.name.startswith(f"{PACKAGE}.respond.destinations.")
            assert module.part in ("cli", "sandbox") or is_connector, module.name


def test_the_sandbox_knows_nothing_of_the_loop() -> None:
    for module in of_part("sandbox"):
        assert module.project_imports() <= {"sandbox", "contracts"}, module.name


@pytest.mark.parametrize("name", PURE)
def test_what_decides_does_no_io(name: str) -> None:
    (module,) = [module for module in modules() if module.name == f"{PACKAGE}.{name}"]
    imported = {imported.split(".")[0] for imported in module.imports()}
    assert not imported & IO_MODULES, sorted(imported & IO_MODULES)
    drawn = {name for name in module.imports() if name.split(".")[0] == "random"} - {"random", "random.Random"}
    assert not drawn, "chance is handed in as a Random"
    called = {n.func.id for n in ast.walk(module.tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not called & IO_CALLS, sorted(called & IO_CALLS)
    moments = {n.attr for n in ast.walk(module.tree) if isinstance(n, ast.Attribute)} & {"now", "utcnow", "today"}
    assert not moments, f"{name} reads the clock"


def test_a_stage_that_looked_ahead_would_be_noticed() -> None:
    tree = ast.parse("from dagster_project.verify import sla\ndef f():\n    import dagster_project.respond.jobs\n")
    (some, *_) = modules()
    assert Module("dagster_project.ledger.x", some.file, tree).project_imports() == {"verify", "respond"}
