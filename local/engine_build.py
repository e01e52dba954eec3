"""Builds the engine into .cache/engine, released and for the wire-level tests, only when its sources or its Go have changed.

`python -m local.engine_build`. Standard library only: set-up uses it. Builds that begin at the same time wait for each other.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local import go
from local.project import CACHE

FOLDER = CACHE / "engine"
RELEASE_ENGINE = FOLDER / "wa-engine"
WIRETEST_ENGINE = FOLDER / "wa-engine-wiretest"
"""With build tag `wiretest`: trusts the root key and the server that it is told, for the tests against tests/whatsapp."""

FLAGS = ("-trimpath", "-ldflags=-s -w")
"""As connector/Dockerfile builds it: no paths of the machine, no symbols."""


class BuildFailed(Exception):
    """What the compiler said."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    program: Path
    tags: str

    @property
    def stamp(self) -> Path:
        """Names what the program was built from."""
        return self.program.with_suffix(".built-from")

    def is_built_from(self, inputs: str) -> bool:
        return self.program.is_file() and self.stamp.is_file() and self.stamp.read_text() == inputs


VARIANTS = (Variant(program=RELEASE_ENGINE, tags=""), Variant(program=WIRETEST_ENGINE, tags="wiretest"))


def is_up_to_date() -> bool:
    """Raises go.NotFound."""
    inputs = _inputs()
    return all(variant.is_built_from(inputs) for variant in VARIANTS)


def build() -> None:
    """Builds what is out of date. Raises BuildFailed and go.NotFound."""
    with _lock():
        inputs = _inputs()
        for variant in VARIANTS:
            if not variant.is_built_from(inputs):
                _build(variant, inputs)


def _build(variant: Variant, inputs: str) -> None:
    unfinished = variant.program.with_suffix(".unfinished")
    arguments = ["build", *FLAGS, "-tags", variant.tags, "-o", str(unfinished), "."]
    run = subprocess.run(
        [go.go(), *arguments], cwd=go.ENGINE, env=go.environment(), capture_output=True, text=True, check=False
    )
    if run.returncode != 0:
        raise BuildFailed(f"go {' '.join(arguments)}\n{run.stdout}{run.stderr}")
    variant.stamp.unlink(missing_ok=True)
    unfinished.replace(variant.program)  # a process that runs the old one keeps it
    variant.stamp.write_text(inputs)


def _inputs() -> str:
    """A hash of everything that the programs are made of: sources but for their tests, the pins, Go itself, the flags."""
    digest = hashlib.sha256()
    digest.update(f"{go.version()} {FLAGS}".encode())
    for path in sorted(go.ENGINE.rglob("*")):
        if path.is_file() and not path.name.endswith("_test.go"):
            digest.update(f"{path.relative_to(go.ENGINE)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


@contextmanager
def _lock() -> Iterator[None]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    try:
        build()
    except (BuildFailed, go.NotFound) as error:
        print(f"The engine could not be built: {error}", file=sys.stderr)
        return 1
    print(os.path.relpath(RELEASE_ENGINE))
    print(os.path.relpath(WIRETEST_ENGINE))
    return 0


if __name__ == "__main__":
    sys.exit(main())
