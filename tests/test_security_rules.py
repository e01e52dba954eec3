"""Runs the tests of the security rules (tests/rules/*.test.js, real JS SDK) with Node's own runner, one test here a file there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local.project import ROOT

FILES = sorted((ROOT / "tests/rules").glob("*.test.js"))
TIME_LIMIT_S = 600


def test_there_are_tests_of_the_rules() -> None:
    assert FILES


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
