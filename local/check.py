"""Format, lint and types of everything: `python -m local.check` runs each check to its end and says which failed."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local import contract, go
from local.processes import Processes
from local.project import ROOT

_BIN = ROOT / ".venv/bin"


@dataclass(frozen=True, kw_only=True)
class Check:
    """Passes when its command ends with status 0 and, where it is one that lists what is wrong, says nothing."""

    name: str
    command: Sequence[str | Path]
    folder: Path = ROOT
    environment: Mapping[str, str] | None = None
    lists_faults: bool = False

    def passes(self) -> bool:
        began = time.monotonic()
        run = subprocess.run(
            self.command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        passed = run.returncode == 0 and not (self.lists_faults and run.stdout.strip())
        print(f"{self.name}: {'ok' if passed else 'FAILED'} ({time.monotonic() - began:.0f} s)", flush=True)
        if not passed:
            print(run.stdout + run.stderr, flush=True)
        return passed


def python_and_javascript() -> list[Check]:
    return [
        Check(name="ruff format", command=[_BIN / "ruff", "format", "--check", "."]),
        Check(name="ruff check", command=[_BIN / "ruff", "check", "."]),
        Check(name="mypy", command=[_BIN / "mypy", "functions", "connector", "deploy", "local", "tests"]),
        Check(name="biome", command=[ROOT / "node_modules/.bin/biome", "check", "--error-on-warnings", "."]),
    ]


def engine(folder: Path = go.ENGINE) -> list[Check]:
    """Both ways in which the engine is built. Raises go.NotFound."""
    environment = go.environment()

    def check(name: str, *command: str | Path, lists_faults: bool = False) -> Check:
        return Check(name=name, command=command, folder=folder, environment=environment, lists_faults=lists_faults)

    checks = [check("gofmt", go.gofmt(), "-l", ".", lists_faults=True)]
    for tags in ("", "wiretest"):
        shown = f" ({tags})" if tags else ""
        checks.append(check(f"go vet{shown}", go.go(), "vet", "-tags", tags, "./..."))
        checks.append(check(f"staticcheck{shown}", go.go(), "tool", "staticcheck", "-tags", tags, "./..."))
    return checks


def main() -> int:
    with Processes(purpose="check"):  # for its heed of signals and of make's death
        failed = [check.name for check in [*python_and_javascript(), *engine()] if not check.passes()]
        if stale := contract.stale_files():
            failed.append("engine contract")
            print(f"engine contract: FAILED\n{', '.join(stale)} do not fit engine.proto; run `make proto`", flush=True)
    print(f"check failed: {', '.join(failed)}" if failed else "check passed: format, lint, types, engine contract")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
