"""The fingerprint of everything the catalog is made from, so that a stale catalog can be refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

SOURCE_PATTERNS = ("dbt_project.yml", "models/**/*", "macros/**/*", "seeds/**/*")


def source_files(dbt_project_dir: Path, playbooks_dir: Path) -> list[Path]:
    """The dbt project's and the playbooks' files, in a stable order."""
    dbt_files = (file for pattern in SOURCE_PATTERNS for file in dbt_project_dir.glob(pattern))
    return sorted(file for file in [*dbt_files, *playbooks_dir.glob("*.yaml")] if file.is_file())


def hash_sources(files: Iterable[Path], circumstances: Iterable[str]) -> str:
    """sha256 (first 16 hex digits) over the files' names and contents and what else shapes the catalog."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    for circumstance in circumstances:
        digest.update(circumstance.encode() + b"\0")
    return digest.hexdigest()[:16]
