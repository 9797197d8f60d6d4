"""Which steps of a playbook put personal data into their requests, told from their templates beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dagster_project.contracts.catalog import CatalogModel, Column
from dagster_project.contracts.playbook import PlaybookVersion
from dagster_project.respond.templating import fields_used


def personal_steps(
    version: PlaybookVersion, columns: Mapping[str, Column], models: Mapping[str, CatalogModel]
) -> tuple[str, ...]:
    """The names of the steps whose request may hold a column that is tagged pii.

    Parameters: the playbook with its parameters; the signal's columns; the models that enrichment may read. Routes and
    parameters count where a step uses them. What cannot be told (a whole row, a loop over members) counts as personal
    if there is anything personal in it.
    """
    tagged = {"row": {name for name, column in columns.items() if column.is_pii}}
    for name, enrichment in version.playbook.enrich.items():
        model = models.get(enrichment.model or "")
        tagged[name] = {column for column, one in model.columns.items() if one.is_pii} if model else set()
    return tuple(
        step.name for step in version.playbook.steps if _is_personal(list(_texts(step.arguments)), version, tagged)
    )


def _is_personal(texts: list[str], version: PlaybookVersion, tagged: Mapping[str, set[str]]) -> bool:
    seen: set[str] = set()
    while texts:
        text = texts.pop()
        if text in seen or "{" not in text:
            continue
        seen.add(text)
        for path in fields_used(text):
            if _reaches_personal(path, text, tagged):
                return True
            texts += _texts_behind(path, version)
    return False


def _reaches_personal(path: tuple[str, ...], text: str, tagged: Mapping[str, set[str]]) -> bool:
    if path[0] == "members":
        return any(column in text for columns in tagged.values() for column in columns)
    columns = tagged.get(path[0], set())
    return bool(columns) if len(path) == 1 else path[1] in columns


def _texts_behind(path: tuple[str, ...], version: PlaybookVersion) -> list[str]:
    """The templates behind a parameter or a route that a template uses."""
    if path[0] == "parameters":
        chosen = [version.parameters.get(path[1])] if len(path) > 1 else list(version.parameters.values())
        return [text for value in chosen for text in _texts(value)]
    if path[0] == "route":
        rules = version.playbook.routes
        some = [rules.get(path[1], ())] if len(path) > 1 else list(rules.values())
        return [text for routed in some for rule in routed for text in _texts(rule.use)]
    return []


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for value in content.values():
            yield from _texts(value)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _texts(value)
