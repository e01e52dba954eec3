"""Tests that never end, for test_processes.py to interrupt. Its name keeps it out of every other run."""

import os
import signal
from pathlib import Path

import pytest

from local.processes import Processes


@pytest.mark.timeout(0)
def test_blocks(processes: Processes, firestore_emulator: str) -> None:
    file = Path(os.environ["BLOCKING_SESSION_FILE"])
    unfinished = file.with_suffix(".tmp")
    unfinished.write_text(processes.run_id)
    unfinished.rename(file)
    signal.pause()


@pytest.mark.timeout(0)
def test_is_not_begun_by_an_interrupted_session() -> None:
    signal.pause()
