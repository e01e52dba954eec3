"""Format, lint and types of everything: `python -m local.check` runs each check to its end and says which failed."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from local import contract
from local.processes import Processes
from local.project import ROOT

_BIN = ROOT / ".venv/bin"

_CHECKS: dict[str, Sequence[str | Path]] = {
    "ruff format": [_BIN / "ruff", "format", "--check", "."],
    "ruff check": [_BIN / "ruff", "check", "."],
    "mypy": [_BIN / "mypy", "functions", "connector", "local", "tests"],
    "biome": [ROOT / "node_modules/.bin/biome", "check", "--error-on-warnings", "."],
}


def main() -> int:
    with Processes(purpose="check"):  # for its heed of signals and of make's death
        failed = [name for name, command in _CHECKS.items() if not _passes(name, command)]
        if stale := contract.stale_files():
            failed.append("engine contract")
            print(f"engine contract: FAILED\n{', '.join(stale)} do not fit engine.proto; run `make proto`", flush=True)
    print(f"check failed: {', '.join(failed)}" if failed else "check passed: format, lint, types, engine contract")
    return 1 if failed else 0


def _passes(name: str, command: Sequence[str | Path]) -> bool:
    began = time.monotonic()
    run = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    print(f"{name}: {'ok' if run.returncode == 0 else 'FAILED'} ({time.monotonic() - began:.0f} s)", flush=True)
    if run.returncode != 0:
        print(run.stdout + run.stderr, flush=True)
    return run.returncode == 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
