"""What can be known of the connector's image without Docker: `python -m local.image_check`.

Does in a clean folder what connector/Dockerfile's COPY lines say (and the engine's build), then starts what stands there.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import yaml

from deploy.deployment import Deployment
from deploy.service_template import render
from local import go, ports
from local.dockerfile import Build, Stage, stages
from local.processes import Child, Processes, StartFailed
from local.project import ROOT

DOCKERFILE = ROOT / "connector/Dockerfile"
SERVICE = ROOT / "deploy/connector_service.yaml"
APP = "/app"
_PINNED = re.compile(r"[\w./-]+(?::[\w-]*\d+\.\d+\.\d+[\w.-]*|(?::[\w.-]+)?@sha256:[0-9a-f]{64})")
_STOP_S = 10.0
"""Cloud Run's patience after SIGTERM."""
_START_S = 60.0


class Unfit(Exception):
    """What is wrong with the image."""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="image-") as folder, Processes(purpose="image") as processes:
        try:
            image = lay_out(Path(folder))
            check_declarations(image.stages)
            check_notices(image)
            check_imports(image)
            check_refusal(image)
            check_backup(image)
            check_life(image, processes)
        except (Unfit, StartFailed, go.NotFound, FileNotFoundError) as error:
            print(f"the image is not fit: {error}", file=sys.stderr)
            return 1
    print("the image is fit, as far as can be known without Docker")
    return 0


@dataclass(frozen=True, kw_only=True)
class Image:
    """The stages, and the last one's files."""

    stages: list[Stage]
    build: Build

    @property
    def last(self) -> Stage:
        return self.stages[-1]

    @property
    def app(self) -> Path:
        return self.build.place(self.last, APP)

    def command(self) -> list[str]:
        """CMD, with this Python in the place of the image's."""
        (value,) = self.last.values("CMD")
        program, *arguments = _words(value)
        return [sys.executable if program == "python" else program, *arguments]

    def health_check(self) -> list[str]:
        (value,) = self.last.values("HEALTHCHECK")
        program, *arguments = _words(value.partition("CMD ")[2])
        return [sys.executable if program == "python" else program, *arguments]


def lay_out(folder: Path) -> Image:
    """Raises Unfit and FileNotFoundError."""
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    image = Image(
        stages=stages(DOCKERFILE.read_text()), build=Build(context=ROOT, ignored=ignored, folder=folder / "stages")
    )
    others = {stage.name: stage for stage in image.stages}
    for stage in image.stages:
        workdir = "/"
        for instruction in stage.instructions:
            if instruction.keyword == "WORKDIR":
                workdir = instruction.value
                image.build.place(stage, workdir).mkdir(parents=True, exist_ok=True)
            elif instruction.keyword == "COPY":
                image.build.copy(stage, instruction.value, workdir, others)
            elif instruction.keyword == "RUN" and stage is not image.last:
                _run(image, stage, instruction.value, workdir)
    return image


def _run(image: Image, stage: Stage, command: str, workdir: str) -> None:
    """A RUN of the Go stage, with this machine's Go; its absolute paths are those of the stage."""
    here = re.sub(r"(?<= )/(?=\w)", f"{image.build.root_of(stage)}/", command)
    run = subprocess.run(
        ["sh", "-c", here],
        cwd=image.build.place(stage, workdir),
        env=go.environment() | stage.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise Unfit(f"RUN {command}\n{run.stdout}{run.stderr}")


def check_declarations(all_stages: list[Stage]) -> None:
    """Raises Unfit."""
    for stage in all_stages:
        if not _PINNED.fullmatch(stage.base):
            raise Unfit(f"{stage.base} is neither pinned by digest nor by an exact version")
    last = all_stages[-1]
    users = last.values("USER")
    if not users or users[-1].split(":")[0] in ("root", "0"):
        raise Unfit("it runs as root")
    for keyword in ("CMD", "HEALTHCHECK"):
        if len(last.values(keyword)) != 1:
            raise Unfit(f"it must have one {keyword}")
    _words(last.values("CMD")[0])


def check_notices(image: Image) -> None:
    """The licences that bind whoever passes the image on. Raises Unfit and FileNotFoundError."""
    notices = image.app / "notices"
    if not (notices / "engine-source/go.mod").is_file() or not (notices / "NOTICE").is_file():
        raise Unfit("it has not the engine's source, or no NOTICE")
    if (notices / "LICENSE").read_text() != (ROOT / "LICENSE").read_text():
        raise Unfit("it has not the project's LICENSE")
    if "GNU General Public License, version 3" not in (notices / "NOTICE").read_text():
        raise Unfit("its NOTICE does not say under which licence the engine is passed on")
    for module, title in (("whatsmeow", "Mozilla Public License"), ("libsignal", "GNU GENERAL PUBLIC LICENSE")):
        texts = [path.read_text() for path in notices.glob(f"modules/go.mau.fi/{module}@*/LICENSE")]
        if not any(title in text for text in texts):
            raise Unfit(f"it has not the licence of {module}")
    if b"WIRE_ROOT" in (image.app / "wa-engine").read_bytes():
        raise Unfit("its engine is the one for tests: it trusts whom it is told to")


_IMPORTS = """
import importlib, importlib.abc, importlib.metadata, json, pkgutil, sys
before = set(sys.modules)
pins = set(sys.argv[1:])
plain = lambda name: name.replace("_", "-").replace(".", "-").lower()
installed = {name for name, owners in importlib.metadata.packages_distributions().items() if pins & set(map(plain, owners))}
absent = set(importlib.metadata.packages_distributions()) - installed

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r} in the image", name=name)

sys.meta_path.insert(0, Absent())
for package in ("connector", "core", "identity"):
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        importlib.import_module(found.name)
files = {getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if name not in before}
owners = set()
for distribution in importlib.metadata.distributions():
    if any(str(distribution.locate_file(file)) in files for file in distribution.files or ()):
        owners.add(plain(distribution.metadata["Name"]))
own = [sys.modules[name].__file__ for name in ("connector", "core", "identity")]
print(json.dumps({"missing": sorted(owners - pins), "own": own}))
"""
"""Imports everything while what requirements.txt does not name is hidden: a package of several owners (google) is looked at by file."""


def check_imports(image: Image) -> None:
    """Everything that it imports is in it, or is installed by its requirements. Raises Unfit."""
    pins = re.findall(r"^([\w.-]+)==", (image.app / "requirements.txt").read_text(), re.MULTILINE)
    command = [sys.executable, "-c", _IMPORTS, *(re.sub(r"[-_.]+", "-", pin).lower() for pin in pins)]
    run = subprocess.run(command, cwd=image.app, env=_bare(), capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise Unfit(f"its modules cannot be imported:\n{run.stderr}")
    found = json.loads(run.stdout)
    if found["missing"]:
        raise Unfit(f"requirements.txt does not install {', '.join(found['missing'])}")
    if astray := [file for file in found["own"] if not file.startswith(str(image.app))]:
        raise Unfit(f"it takes modules from elsewhere: {astray}")


def check_refusal(image: Image) -> None:
    """Without settings it says which it needs. Raises Unfit."""
    run = subprocess.run(
        image.command(), cwd=image.app, env=_bare(), capture_output=True, text=True, check=False, timeout=_START_S
    )
    if run.returncode != 2 or "PUBLIC_ENDPOINT is not set" not in run.stdout:
        raise Unfit(f"without settings it ended with status {run.returncode}:\n{run.stdout}{run.stderr}")


def check_backup(image: Image) -> None:
    """The engine's commands are there, for a job (docs/backup.md). Raises Unfit."""
    engine = image.app / "wa-engine"
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        environment = _bare() | {"ENGINE_STORE": f"sqlite:{folder}/missing.db"}
        key = subprocess.run(
            [engine, "new-key", "--file", f"{folder}/key"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_START_S,
        )
        run = subprocess.run(
            [engine, "backup", "--file", f"{folder}/made", "--recipient", key.stdout.strip()],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_START_S,
        )
    if run.returncode != 1 or "missing.db" not in run.stderr:
        raise Unfit(f"a backup of a store that is not there ended with status {run.returncode}:\n{run.stderr}")


def check_life(image: Image, processes: Processes) -> None:
    """With the settings of its Cloud Run service it serves, with its engine, and ends in time. Raises Unfit and StartFailed."""
    port = ports.free_port()
    environment = settings(image, port)
    child = processes.spawn("image", image.command(), environment=environment, folder=image.app, grace_s=_STOP_S)
    processes.await_ready(child, lambda _: _has_its_engine(port), time_limit_s=_START_S)
    health = subprocess.run(
        image.health_check(), env=_bare() | {"PORT": str(port)}, capture_output=True, text=True, check=False
    )
    if health.returncode != 0:
        raise Unfit(f"its health check failed:\n{health.stderr}")
    _check_stop(processes, child)


def _check_stop(processes: Processes, child: Child) -> None:
    began = time.monotonic()
    child.process.send_signal(signal.SIGTERM)
    processes.stop(child)
    if child.process.returncode != 0:
        raise Unfit(f"after SIGTERM it ended with status {child.process.returncode}:\n{child.log_tail()}")
    if time.monotonic() - began > _STOP_S:
        raise Unfit(f"after SIGTERM it took more than {_STOP_S:.0f} s")


def settings(image: Image, port: int) -> dict[str, str]:
    """As its Cloud Run service sets them, with a store and a Firestore of this machine's (where nobody answers)."""
    service = render(SERVICE.read_text(), Deployment(project="my-project", project_number="1"), 0, "image")
    containers = yaml.safe_load(service)["spec"]["template"]["spec"]["containers"]
    (container,) = (each for each in containers if each["name"] == "connector")
    named = {entry["name"]: entry.get("value", "a secret") for entry in container["env"]}
    named["ENGINE_BINARY"] = str(image.build.place(image.last, named["ENGINE_BINARY"]))
    return {
        **image.last.environment(),
        **named,
        "ENGINE_STORE": f"sqlite:{image.build.folder}/engine.db",
        "FIRESTORE_EMULATOR_HOST": f"{ports.HOST}:{ports.free_port()}",
        "PORT": str(port),
        "PYTHONPATH": "",
    }


def _has_its_engine(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{ports.HOST}:{port}/readyz", timeout=10) as answer:
            return bool(json.load(answer)["engine"])
    except urllib.error.HTTPError as answer:  # 503: there is no Firestore here
        with answer:
            return bool(json.load(answer)["engine"])
    except OSError:
        return False


def _bare() -> dict[str, str]:
    """Nothing of this project."""
    return {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}


def _words(value: str) -> list[str]:
    """The exec form of CMD: SIGTERM would reach a shell, which does not pass it on."""
    if not value.startswith("["):
        raise Unfit(f"not in the exec form: {value}")
    return [str(word) for word in json.loads(value)]


if __name__ == "__main__":
    sys.exit(main())
