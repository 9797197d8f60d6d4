"""A small ledger for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.verify.small_ledger import SmallLedger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SmallLedger]:
    small = SmallLedger(tmp_path)
    yield small
    small.database.close()
