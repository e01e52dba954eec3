"""Real children, ended in every way that a launcher can end."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import ports
from local.processes import Processes, StartFailed, answers, printed
from local.project import ROOT
from local.run_marker import marked
from tests.local import survivors
from tests.waiting import wait_until


@pytest.fixture
def started() -> Iterator[Processes]:
    with Processes(purpose="processes-test", ends_with_parent=False) as processes:
        yield processes


def launch(*command: str | Path) -> tuple[subprocess.Popen[str], str]:
    """Starts the launcher and returns it with its run's id, once all its children run."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    found = re.match(r"running (\S+)", process.stdout.readline())
    assert found is not None
    assert len(marked(found[1])) >= 3, "two children and one that detached itself"
    return process, found[1]


def close(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    process.stdout.close()
    process.wait(timeout=20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_launcher_that_is_ended_by_a_signal_leaves_no_process(number: signal.Signals) -> None:
    process, run_id = launch(sys.executable, "-m", "tests.local.launching")
    process.send_signal(number)
    survivors.await_none(run_id)
    close(process)


def test_a_launcher_whose_parent_was_killed_ends_itself_and_its_children() -> None:
    make = launch("sh", "-c", f"{sys.executable} -m tests.local.launching --ends-with-parent & wait")
    make[0].kill()
    survivors.await_none(make[1])
    close(make[0])


def test_leaving_the_block_ends_what_children_left_behind() -> None:
    with Processes(purpose="processes-test", ends_with_parent=False) as processes:
        script = "import subprocess, sys; subprocess.Popen(['sleep', '600'], start_new_session=True); print('up')"
        child = processes.start("leaves", [sys.executable, "-c", script], ready=printed("up"))
        child.process.wait(timeout=10)
        # A process shows its environment only a moment after it has begun to run its own program.
        wait_until(lambda: marked(processes.run_id), "what the child left behind carries the run's mark")
    assert survivors.of_run(processes.run_id) == []


def test_a_process_that_ends_before_it_is_ready_is_reported_with_the_end_of_its_log(started: Processes) -> None:
    began = time.monotonic()
    with pytest.raises(StartFailed, match=r"(?s)broken ended with status 3 .*no such setting"):
        started.start(
            "broken", [sys.executable, "-c", "print('no such setting'); raise SystemExit(3)"], ready=printed("up")
        )
    assert time.monotonic() - began < 10


def test_the_second_of_a_name_is_ready_by_its_own_word(started: Processes) -> None:
    first = started.start("twin", [sys.executable, "-c", "print('up', flush=True)"], ready=printed("up"))
    first.process.wait(timeout=10)
    with pytest.raises(StartFailed):
        started.start("twin", [sys.executable, "-c", "pass"], ready=printed("up"))


def test_two_that_run_have_two_names(started: Processes) -> None:
    command = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)"]
    started.start("network", command, ready=printed("up"))
    with pytest.raises(ValueError, match="network runs already"):
        started.spawn("network", command)


def test_a_process_that_is_not_ready_in_time_is_reported(started: Processes) -> None:
    with pytest.raises(StartFailed, match=r"(?s)slow was not ready after 1 s.*still loading"):
        started.start(
            "slow",
            [sys.executable, "-u", "-c", "import time; print('still loading'); time.sleep(600)"],
            ready=answers(ports.free_port()),
            time_limit_s=1,
        )


def test_a_command_that_fails_is_reported(started: Processes) -> None:
    with pytest.raises(StartFailed, match=r"(?s)role ended with status 1.*nobody"):
        started.run("role", [sys.executable, "-c", "raise SystemExit('nobody')"])


def test_a_stopped_child_was_asked_first(started: Processes) -> None:
    script = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit('asked')); print('up', flush=True); signal.pause()"
    child = started.start("polite", [sys.executable, "-c", script], ready=printed("up"))
    started.stop(child)
    assert "asked" in child.log_text()


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_pytest_leaves_no_emulator(number: signal.Signals, workers: str, tmp_path: Path) -> None:
    seen = tmp_path / "run_id"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-n",
            workers,
            "tests/local/blocking_session.py",
        ],
        cwd=ROOT,
        env={**os.environ, "BLOCKING_SESSION_FILE": str(seen)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not seen.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run_id = seen.read_text()
    assert survivors.of_run(run_id)
    process.send_signal(number)
    try:
        process.wait(timeout=60)
    finally:
        process.kill()
    survivors.await_none(run_id)
