"""The fingerprint of everything the catalog is made from, so that a stale catalog can be refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

SOURCE_PATTERNS = (
    "dbt_project.yml",
    "profiles.yml",
    "packages.yml",
    "models/**/*",
    "macros/**/*",
    "seeds/**/*",
    "tests/**/*",
)


def source_files(dbt_project_dir: Path, playbooks_dir: Path) -> dict[str, Path]:
    """The dbt project's and the playbooks' files by their names inside the project, in a stable order."""
    found = {f"dbt/{file.relative_to(dbt_project_dir).as_posix()}": file for file in _files(dbt_project_dir)}
    found |= {f"playbooks/{file.name}": file for file in playbooks_dir.glob("*.yaml")}
    return dict(sorted(found.items()))


def _files(dbt_project_dir: Path) -> Iterator[Path]:
    return (file for pattern in SOURCE_PATTERNS for file in dbt_project_dir.glob(pattern) if file.is_file())


def hash_sources(files: Mapping[str, Path], circumstances: Iterable[str]) -> str:
    """sha256 (first 16 hex digits) over the files' names and contents and what else shapes the catalog."""
    digest = hashlib.sha256()
    for name, file in files.items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    for circumstance in circumstances:
        digest.update(circumstance.encode() + b"\0")
    return digest.hexdigest()[:16]
