"""Hashes of values, files and folders."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def sha256_of(value: object) -> str:
    """Hex digest of a JSON-able value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Hex digest of a file, or of all files of a folder with their relative names."""
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
