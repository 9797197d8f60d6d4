"""A failed node of a build is one line: where, what, and what to do; macros' traces stay out."""

from __future__ import annotations

import pytest

from dagster_project.detect.build_failures import failure_in_words

PLACE = "models/signals/finance/x.sql"
TRACE = "\n  \n  > in macro signal_refuse (macros/capture/settings.sql)\n  > called by model x (models/x.sql)"
CONTRACT = (
    f"Compilation Error in model x ({PLACE})\n  This model has an enforced contract that failed.\n  Please ensure ...\n  \n"
    "  | column_name | definition_type | contract_type | mismatch_reason |\n"
    "  | ----------- | --------------- | ------------- | --------------- |\n"
)


def told(message: str | None, unique_id: str = "model.signal_loop.x") -> str:
    return failure_in_words({"unique_id": unique_id, "message": message})


def test_the_capture_s_refusal_is_told_as_it_is() -> None:
    message = (
        f"Compilation Error in model x ({PLACE})\n  signal x refused, nothing was captured: 1 row. Correct it{TRACE}"
    )
    assert told(message) == f"{PLACE}: signal x refused, nothing was captured: 1 row. Correct it"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("| amount | DECIMAL(18,4) | DECIMAL(18,3) | data type mismatch |", "amount is DECIMAL(18,4) in the SQL and DECIMAL(18,3) in the YAML -> cast it in the SQL, or write data_type: decimal(18,4)"),
        ("| amount | DECIMAL(18,4) |  | missing in contract |", "the YAML does not list the column amount -> add it with data_type: decimal(18,4)"),
        ("| amount |  | TEXT | missing in definition |", "the SQL has no column amount, the YAML lists it as TEXT -> select it"),
        ("| observed_at | TIMESTAMP | TIMESTAMP WITH TIME ZONE | data type mismatch |", "observed_at is TIMESTAMP, without a zone -> write {{ utc_moment('...') }} as observed_at"),
    ],
)  # fmt: skip
def test_a_contract_that_does_not_hold_is_told_by_column(row: str, words: str) -> None:
    # ruff: noqa: E501 - one case a line reads as the table that it is
    said = told(f"{CONTRACT}  {row}{TRACE}")
    assert said.startswith(f"{PLACE}: the SQL and the YAML do not agree, nothing was built: {words}")


def test_a_failed_test_says_that_its_build_is_held() -> None:
    said = told("Got 2 results, configured to fail if != 0", "test.signal_loop.unique_x")
    assert said == (
        "test.signal_loop.unique_x: a test failed: Got 2 results, configured to fail if != 0; what it tests is held until "
        "it passes"
    )


def test_anything_else_is_told_in_the_warehouse_s_words_up_to_a_length() -> None:
    said = told(f"Runtime Error in model x ({PLACE})\n  Binder Error: " + "no such column " * 50)
    assert said.startswith(f"{PLACE}: Binder Error: no such column")
    assert len(said) < 400
    assert told(None) == "model.signal_loop.x: "
