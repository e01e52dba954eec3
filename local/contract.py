"""The engine contract in Python and in Go, generated from engine.proto: `python -m local.contract` writes it anew."""

import filecmp
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from local import go
from local.project import ROOT

FOLDER = Path("connector/contract")
GO_FOLDER = Path("connector/engine/contract")
_GO_PACKAGE = "threadline/engine/contract"
_GO_PLUGINS = {
    "go": "google.golang.org/protobuf/cmd/protoc-gen-go",
    "go-grpc": "google.golang.org/grpc/cmd/protoc-gen-go-grpc",
}
_BIN = ROOT / ".venv/bin"
_PYTHON_OUTPUTS = ("python", "grpc_python", "mypy", "mypy_grpc")


def generate(into: Path) -> None:
    """Writes both sides below `into`, at the places where the project has them. Raises go.NotFound."""
    outputs = [f"--{kind}_out={into}" for kind in _PYTHON_OUTPUTS] + _go_outputs(into)
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
        generated = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        places = [file.relative_to(folder) for file in generated]
        return [place.name for place in places if not _is_same(Path(folder) / place, ROOT / place)]


def _go_outputs(into: Path) -> list[str]:
    """The plugins are tools of the engine's go.mod, so that it pins them."""
    (into / GO_FOLDER).mkdir(parents=True, exist_ok=True)
    arguments = []
    for plugin, package in _GO_PLUGINS.items():
        arguments += [
            f"--plugin=protoc-gen-{plugin}={_go_tool(package)}",
            f"--{plugin}_out={into / GO_FOLDER}",
            f"--{plugin}_opt=module={_GO_PACKAGE},M{FOLDER}/engine.proto={_GO_PACKAGE}",
        ]
    return arguments


def _go_tool(package: str) -> str:
    """The path of a tool's binary, which Go's build cache keeps."""
    command = [str(go.go()), "tool", "-n", package]
    run = subprocess.run(command, cwd=go.ENGINE, env=go.environment(), stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"{package} could not be built")
    return run.stdout.strip()


def _is_same(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


if __name__ == "__main__":
    generate(ROOT)
    sys.exit(0)
