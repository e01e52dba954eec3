"""The generated files are made once, whoever asks first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.project import PYTHONPATH, ROOT
from tests.whatsapp.generated import ready_folder

_PROGRAM = "import sys; from pathlib import Path; from tests.whatsapp.generated import ready_folder; ready_folder(Path(sys.argv[1]))"


def test_two_processes_at_once_make_one_whole_folder(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(tmp_path)], cwd=ROOT, env={**os.environ, "PYTHONPATH": PYTHONPATH}
        )
        for _ in range(2)
    ]
    assert [process.wait(100) for process in processes] == [0, 0]
    folder = ready_folder(tmp_path)
    assert {"tokens.json", "waE2E", "waWa6"} <= {file.name for file in folder.iterdir()}
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([folder.name, "lock"])


def test_what_was_made_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ready_folder(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert ready_folder(tmp_path) == made
