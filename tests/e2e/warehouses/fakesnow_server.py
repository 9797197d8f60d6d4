"""A Snowflake in miniature on loopback: fakesnow's server, a block of statements run for it, and a journal.

    python fakesnow_server.py PORT JOURNAL

runs in the environment of requirements/snowflake.txt. Every statement that a client sends is appended to the journal as
one line of JSON (`sql`, `error` or null), so that the tests can see and parse what Snowflake would have been asked.
While there is a file beside the journal that ends in .suspended, all is refused as by a suspended warehouse.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from pathlib import Path
from typing import Any

import fakesnow.arrow
import fakesnow.cursor
import fakesnow.info_schema
import pyarrow as pa
import pyarrow.compute as pc
import snowflake.connector.errors
from fakesnow.cli import main
from scripting_block import Raised, block_of, run_block

_plain_moments = fakesnow.arrow.timestamp_to_sf_struct
_plain_execute = fakesnow.cursor.FakeSnowflakeCursor.execute
_writing = threading.Lock()
_QUALIFIED_TEMPORARY = re.compile(r"(create\s+(?:or\s+replace\s+)?)temporary\s+table\s+([\w\"]+\.)", re.IGNORECASE)


def _run_for_fakesnow(cursor: Any, block: str) -> None:
    def execute(sql: str) -> list[tuple[Any, ...]]:
        return list(_plain_execute(cursor, sql, server=True).fetchall())

    try:
        run_block(block, execute)
    except Raised as error:
        raise snowflake.connector.errors.ProgrammingError(msg=str(error), errno=100132, sqlstate="P0001") from error
    execute("select 'anonymous block' as \"anonymous block\"")


def _refuse_while_suspended() -> None:
    if Path(sys.argv[2]).with_suffix(".suspended").exists():
        raise snowflake.connector.errors.ProgrammingError(
            msg="No active warehouse selected in the current session. Select an active warehouse with the "
            "'use warehouse' command.",
            errno=606,
            sqlstate="57P03",
        )


def _without_temporary(sql: str) -> str:
    """DuckDB keeps temporary tables in a catalog of their own, so one with a schema in its name is plain here."""
    return _QUALIFIED_TEMPORARY.sub(r"\1table \2", sql, count=1)


def _execute(cursor: Any, command: str, *arguments: Any, **options: Any) -> Any:
    error: str | None = None
    try:
        _refuse_while_suspended()
        if (block := block_of(command)) is None:
            return _plain_execute(cursor, _without_temporary(command), *arguments, **options)
        _run_for_fakesnow(cursor, block)
    except snowflake.connector.errors.Error as failure:
        error = f"{type(failure).__name__}: {failure}"
        raise
    except Exception as failure:
        # fakesnow answers with status 500 to what it does not know, and every client then tries again for minutes
        error = f"fakesnow: {type(failure).__name__}: {failure}"
        raise snowflake.connector.errors.ProgrammingError(msg=error, errno=1003, sqlstate="0A000") from failure
    else:
        return cursor
    finally:
        _write_down(command, error)


def _write_down(sql: str, error: str | None) -> None:
    with _writing, Path(sys.argv[2]).open("a", encoding="utf-8") as journal:
        journal.write(json.dumps({"sql": sql, "error": error}) + "\n")


def _no_note(*_arguments: Any) -> str:
    """fakesnow notes comments and text lengths in another attached file, which DuckDB refuses inside a transaction."""
    return "select 1"


def _moments_with_nulls(moments: pa.ChunkedArray) -> pa.StructArray:
    """fakesnow sends a null moment as 1970-01-01; Snowflake sends it as null."""
    whole = _plain_moments(moments)
    fields = [whole.type.field(place) for place in range(whole.type.num_fields)]
    is_null = pc.is_null(moments.combine_chunks() if isinstance(moments, pa.ChunkedArray) else moments)
    return pa.StructArray.from_arrays([whole.field(field.name) for field in fields], fields=fields, mask=is_null)


fakesnow.arrow.timestamp_to_sf_struct = _moments_with_nulls
fakesnow.cursor.FakeSnowflakeCursor.execute = _execute
fakesnow.info_schema.insert_table_comment_sql = _no_note
fakesnow.info_schema.insert_text_lengths_sql = _no_note

if __name__ == "__main__":
    sys.exit(main(["-s", "--host", "127.0.0.1", "-p", sys.argv[1]]))
