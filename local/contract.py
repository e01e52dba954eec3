"""The Python side of the engine contract, generated from engine.proto: `python -m local.contract` writes it anew."""

import filecmp
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from local.project import ROOT

FOLDER = Path("connector/contract")
_BIN = ROOT / ".venv/bin"
_OUTPUTS = ("python", "grpc_python", "mypy", "mypy_grpc")


def generate(into: Path) -> None:
    outputs = (f"--{kind}_out={into}" for kind in _OUTPUTS)
    run = subprocess.run(
        [_BIN / "python", "-m", "grpc_tools.protoc", "-I.", *outputs, FOLDER / "engine.proto"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}"},  # protoc looks for protoc-gen-mypy there
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        sys.exit(f"engine.proto could not be compiled:\n{run.stderr}")


def stale_files() -> list[str]:
    """The names of generated files that do not fit engine.proto."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        generated = sorted((Path(folder) / FOLDER).iterdir())
        return [file.name for file in generated if not _is_same(file, ROOT / FOLDER / file.name)]


def _is_same(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


if __name__ == "__main__":
    generate(ROOT)
    sys.exit(0)
