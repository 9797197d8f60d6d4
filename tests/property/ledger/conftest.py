"""Lets the property tests use the ledger's test bench, which lives beside its unit tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "ledger"))
