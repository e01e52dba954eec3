"""Makes what the server needs of whatsmeow: Python protobufs of its .proto files, and its token dictionaries.

Nothing happens unless the pinned version changed, and several processes may ask at once. Needs Go, and whatsmeow in its module cache or
a way to download it.
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final

from local import go
from local.project import CACHE, ROOT

_ENGINE: Final = ROOT / "connector/engine"
_MODULE: Final = "go.mau.fi/whatsmeow"
_WANTED: Final = (
    "waAdv/WAAdv.proto",
    "waCert/WACert.proto",
    "waCompanionReg/WACompanionReg.proto",
    "waE2E/WAWebProtobufsE2E.proto",
    "waHistorySync/WAWebProtobufsHistorySync.proto",
    "waServerSync/WAWebProtobufsServerSync.proto",
    "waSyncAction/WAWebProtobufSyncAction.proto",
    "waWa6/WAWebProtobufsWa6.proto",
    "waWeb/WAWebProtobufsWeb.proto",
)


class BuildFailed(Exception):
    """A tool failed; the message has its words."""


def ready_folder(parent: Path = CACHE / "whatsapp") -> Path:
    """The folder with `tokens.json` and the generated packages of the pinned version, made now if it must be."""
    wanted = hashlib.sha256("\n".join(_WANTED).encode()).hexdigest()[:8]
    folder = parent / f"{pinned_version()}-{wanted}"
    if not folder.is_dir():
        with _lock(parent):
            if not folder.is_dir():
                _build(folder)
    return folder


def pinned_version() -> str:
    match = re.search(rf"{re.escape(_MODULE)} (\S+)", _requirements())
    if match is None:
        raise BuildFailed(f"{_ENGINE / 'go.mod'} does not require {_MODULE}")
    return match.group(1)


def _requirements() -> str:
    return (_ENGINE / "go.mod").read_text(encoding="utf-8")


@contextmanager
def _lock(parent: Path) -> Iterator[None]:
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(folder: Path) -> None:
    """Builds beside `folder` and renames: whoever sees the folder sees all of it."""
    made = Path(tempfile.mkdtemp(prefix="build-", dir=folder.parent))
    try:
        module = made / "module"
        _make_module(module)
        (made / "tokens.json").write_text(_go(module, "run", "."), encoding="utf-8")
        _compile_protos(Path(_go(module, "list", "-m", "-f", "{{.Dir}}", _MODULE).strip()) / "proto", into=made)
        made.chmod(0o755)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _make_module(folder: Path) -> None:
    """A module of its own with the engine's pin and sums: a tool must not touch the engine's files."""
    folder.mkdir()
    version = re.search(r"^go \S+$", _requirements(), re.MULTILINE)
    lines = ("module tokens", version.group() if version else "", f"require {_MODULE} {pinned_version()}", "")
    (folder / "go.mod").write_text("\n".join(lines), encoding="utf-8")
    shutil.copy(_ENGINE / "go.sum", folder)
    shutil.copy(Path(__file__).with_name("dump_tokens.go"), folder / "main.go")


def _compile_protos(protos: Path, *, into: Path) -> None:
    included = str(files("grpc_tools").joinpath("_proto"))
    options = (f"-I{protos}", f"-I{included}", f"--python_out={into}")
    _run(sys.executable, "-m", "grpc_tools.protoc", *options, *(str(protos / name) for name in _with_imports(protos)))


def _with_imports(protos: Path) -> list[str]:
    names: list[str] = []
    waiting = list(_WANTED)
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.append(name)
            imports = re.findall(r'^import "([^"]+)"', (protos / name).read_text(encoding="utf-8"), re.MULTILINE)
            waiting += [imported for imported in imports if not imported.startswith("google/")]
    return sorted(names)


def _go(module: Path, *arguments: str) -> str:
    try:
        program, environment = str(go.go()), {**go.environment(), "GOFLAGS": "-mod=mod"}
    except go.NotFound as error:
        raise BuildFailed(str(error)) from error
    return _run(program, "-C", str(module), *arguments, environment=environment)


def _run(*arguments: str, environment: dict[str, str] | None = None) -> str:
    run = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise BuildFailed(f"{' '.join(arguments[:4])} failed:\n{run.stderr}")
    return run.stdout
