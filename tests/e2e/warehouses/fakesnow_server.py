"""A Snowflake in miniature on loopback: fakesnow's server, with the block of the event capture run for it, and a journal.

    python fakesnow_server.py PORT JOURNAL

runs in the environment of requirements/snowflake.txt. Every statement that a client sends is appended to the journal as
one line of JSON (`sql`, `error` or null), so that the tests can see and parse what Snowflake would have been asked.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import fakesnow.cursor
import snowflake.connector.errors
from fakesnow.cli import main
from scripting_block import Raised, block_of, run_block

_plain_execute = fakesnow.cursor.FakeSnowflakeCursor.execute
_writing = threading.Lock()


def _run_for_fakesnow(cursor: Any, block: str) -> None:
    def execute(sql: str) -> list[tuple[Any, ...]]:
        return list(_plain_execute(cursor, sql, server=True).fetchall())

    try:
        run_block(block, execute)
    except Raised as error:
        raise snowflake.connector.errors.ProgrammingError(msg=str(error), errno=100132, sqlstate="P0001") from error
    execute("select 'anonymous block' as \"anonymous block\"")


def _execute(cursor: Any, command: str, *arguments: Any, **options: Any) -> Any:
    error: str | None = None
    try:
        if (block := block_of(command)) is None:
            return _plain_execute(cursor, command, *arguments, **options)
        _run_for_fakesnow(cursor, block)
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
        raise
    else:
        return cursor
    finally:
        _write_down(command, error)


def _write_down(sql: str, error: str | None) -> None:
    with _writing, Path(sys.argv[2]).open("a", encoding="utf-8") as journal:
        journal.write(json.dumps({"sql": sql, "error": error}) + "\n")


fakesnow.cursor.FakeSnowflakeCursor.execute = _execute

if __name__ == "__main__":
    sys.exit(main(["-s", "--host", "127.0.0.1", "-p", sys.argv[1]]))
