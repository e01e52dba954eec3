"""Identifies the code that a process runs: the version, and a digest of the modules that functions, connector and command line share."""

import functools
import hashlib
from pathlib import Path

VERSION = "0.1.0"
"""Changes with each release; docs/rollout.md says in which order a release is deployed."""

_SHARED = ("core", "identity")
_DIGITS = 12


@functools.cache
def build() -> str:
    """A digest of the shared modules' sources: processes that answer the same one were deployed from the same code."""
    folder = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for name in _SHARED:
        for path in sorted((folder / name).glob("*.py")):
            digest.update(f"{name}/{path.name}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:_DIGITS]


def identification() -> dict[str, str]:
    """Version and digest, as a diagnosis report names them."""
    return {"version": VERSION, "build": build()}
