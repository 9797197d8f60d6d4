"""Whoever prepares is told what leaves this machine."""

from __future__ import annotations

from unit.contracts.prepared_project import prepared_project, settings_of

from dagster_project.cli.printing import binding_lines


def test_each_role_is_told_with_whether_it_is_real() -> None:
    project = prepared_project()
    bound = settings_of(project.state_dir, destinations={"hubspot": {"token": "sesame"}})
    lines = binding_lines(bound, project.catalog)
    assert "crm goes to hubspot, the REAL one" in lines
    assert "erp goes to tryton, the sandbox" in lines
    assert "sesame" not in "".join(lines)
