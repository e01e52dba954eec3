"""Runs the JavaScript tests (*.test.js: security rules and documented clients, real JS SDK) with Node's own runner, one test a file."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local.project import ROOT

FILES = sorted((ROOT / "tests").rglob("*.test.js"))
TIME_LIMIT_S = 600


def test_there_are_tests_of_the_rules_and_of_the_documented_client() -> None:
    assert {file.parent.name for file in FILES} == {"rules", "clients"}


@pytest.mark.timeout(TIME_LIMIT_S + 30)
@pytest.mark.parametrize("file", [pytest.param(file, id=file.name) for file in FILES])
def test_node_tests_pass(file: Path, firestore_emulator: str) -> None:
    node = shutil.which("node")
    assert node, "Node 20 must be on PATH"
    run = subprocess.run(
        [node, "--test", "--test-reporter=spec", file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    counts = dict(re.findall(r"^ℹ (tests|pass|fail|skipped|todo|cancelled) (\d+)$", run.stdout, re.MULTILINE))
    if run.returncode != 0 or counts.get("pass") != counts.get("tests") or counts.get("tests", "0") == "0":
        pytest.fail(f"{file.name}: {counts}\n{run.stdout}\n{run.stderr}", pytrace=False)
