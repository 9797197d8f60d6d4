"""Types of operation arguments that accept what templates render: text, where a blank stands for "not given"."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, StringConstraints

from dagster_project.contracts.destination import OperationArguments


class RenderedArguments(OperationArguments):
    """Arguments that come out of templates: numbers are welcome where text is asked for."""

    model_config = ConfigDict(coerce_numbers_to_str=True)


def none_if_blank(value: Any) -> Any:
    """None for blank text, any other value as it is."""
    return None if isinstance(value, str) and not value.strip() else value


def upper_case(value: Any) -> Any:
    """Text in upper case, any other value as it is."""
    return value.strip().upper() if isinstance(value, str) else value


Required = Annotated[str, StringConstraints(min_length=1)]
OneLine = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\r\n\x00]*$")]
OptionalText = Annotated[str | None, BeforeValidator(none_if_blank)]
OptionalMoment = Annotated[AwareDatetime | None, BeforeValidator(none_if_blank)]
