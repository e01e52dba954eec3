"""Set-up with steps of its own: what is done again, what is repaired, what is said."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from local import machine, setup
from local.machine import Runner, Step, StepFailed, node_complaint, set_up
from local.project import ROOT


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(machine, "OUT", tmp_path / "out")


def step(tmp_path: Path, program: str, name: str = "Some packages") -> Step:
    """Installs by running a Python program in the step's folder; its input is a lock file."""
    lock = tmp_path / "lock.txt"
    if not lock.exists():
        lock.write_text("a==1")

    def install(this: Step, runner: Runner) -> None:
        runner.run([sys.executable, "-c", program], folder=this.folder)

    return Step(
        name=name, folder=tmp_path / "installed", inputs=(lock,), install=install, fresh_after_interruption=True
    )


COUNTS = "open('runs', 'a').write('x')"


def runs(tmp_path: Path) -> int:
    return len((tmp_path / "installed/runs").read_text())


def test_a_step_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    for _ in range(2):
        set_up([step(tmp_path, COUNTS)], io.StringIO())
    assert runs(tmp_path) == 1


def test_a_step_whose_input_has_changed_is_done_again(tmp_path: Path) -> None:
    set_up([step(tmp_path, COUNTS)], io.StringIO())
    (tmp_path / "lock.txt").write_text("a==2")
    set_up([step(tmp_path, COUNTS)], io.StringIO())
    assert runs(tmp_path) == 2


def test_progress_is_one_line_a_step_with_its_seconds(tmp_path: Path) -> None:
    out = io.StringIO()
    set_up([step(tmp_path, "print('a wall of text')")], out)
    assert out.getvalue() == "[1/1] Some packages ...\n[1/1] Some packages: done in 0 s\n"


def test_a_failed_step_says_what_failed_with_the_end_of_its_log_and_what_to_do(tmp_path: Path) -> None:
    out = io.StringIO()
    with pytest.raises(StepFailed) as failure:
        set_up([step(tmp_path, "raise SystemExit('registry not reachable')")], out)
    assert "Set-up failed at: Some packages" in str(failure.value)
    assert "ended with status 1" in str(failure.value)
    assert "registry not reachable" in str(failure.value)
    assert "run the same command again" in str(failure.value)
    assert "failed in" in out.getvalue()


def test_what_failed_is_taken_up_again_from_nothing(tmp_path: Path) -> None:
    with pytest.raises(StepFailed):
        set_up([step(tmp_path, "open('half', 'w').close(); raise SystemExit(1)")], io.StringIO())
    set_up([step(tmp_path, COUNTS)], io.StringIO())
    assert runs(tmp_path) == 1
    assert not (tmp_path / "installed/half").exists()


SET_UP = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from local import machine
from tests.local.test_machine import step
here = Path({tmp!r})
machine.CACHE, machine.OUT = here / "cache", here / "out"
machine.COMMANDS = {{"test": (step(here, {program!r}),)}}
sys.exit(machine.main(["test"]))
"""


def start_set_up(tmp_path: Path, program: str) -> subprocess.Popen[str]:
    script = SET_UP.format(root=str(ROOT), tmp=str(tmp_path), program=program)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"}
    return subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def await_file(file: Path) -> None:
    deadline = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


SLOW = "import os, time; open('pid', 'w').write(str(os.getpid())); os.rename('pid', 'started'); time.sleep({seconds}); "
WAITS = SLOW.format(seconds=0) + "[time.sleep(0.05) for _ in iter(lambda: os.path.exists('go'), True)]; "


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_set_up_ends_its_command_and_the_next_one_repairs_it(number: int, tmp_path: Path) -> None:
    process = start_set_up(tmp_path, SLOW.format(seconds=600))
    await_file(tmp_path / "installed/started")
    process.send_signal(number)
    process.communicate(timeout=20)
    command = int((tmp_path / "installed/started").read_text())
    assert not is_running(command)
    set_up([step(tmp_path, COUNTS)], io.StringIO())
    assert sorted(file.name for file in (tmp_path / "installed").iterdir()) == [".threadline-set-up", "runs"]


def test_a_set_up_whose_make_was_killed_ends_its_command(tmp_path: Path) -> None:
    script = SET_UP.format(root=str(ROOT), tmp=str(tmp_path), program=SLOW.format(seconds=600))
    (tmp_path / "script.py").write_text(script)
    make = subprocess.Popen(
        ["sh", "-c", f"'{sys.executable}' '{tmp_path / 'script.py'}' & wait"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"},
        stdout=subprocess.DEVNULL,
    )
    await_file(tmp_path / "installed/started")
    command = int((tmp_path / "installed/started").read_text())
    make.kill()
    make.wait()
    deadline = time.monotonic() + 10
    while is_running(command):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_set_ups_at_once_wait_for_each_other(tmp_path: Path) -> None:
    program = WAITS + COUNTS
    first = start_set_up(tmp_path, program)
    await_file(tmp_path / "installed/started")
    second = start_set_up(tmp_path, program)
    assert second.stdout is not None
    assert "Another set-up is at work" in second.stdout.readline()
    (tmp_path / "installed/go").touch()
    for process in (first, second):
        process.communicate(timeout=30)
    assert (first.returncode, second.returncode) == (0, 0)
    assert runs(tmp_path) == 1


def test_a_killed_set_up_leaves_the_lock_to_its_command_until_that_ends(tmp_path: Path) -> None:
    first = start_set_up(tmp_path, SLOW.format(seconds=2) + COUNTS)
    await_file(tmp_path / "installed/started")
    command = int((tmp_path / "installed/started").read_text())
    first.kill()
    first.communicate(timeout=20)
    set_up([step(tmp_path, COUNTS)], io.StringIO())
    assert not is_running(command), "two would have written into one folder"
    assert runs(tmp_path) == 1


@pytest.mark.parametrize(
    ("version", "has_npm", "said"),
    [
        (None, False, "there is no `node` on PATH"),
        ("v18.19.0", True, "`node` on PATH is v18.19.0"),
        ("v20.20.2", False, "no `npm`"),
    ],
)
def test_a_node_that_does_not_do_is_named(version: str | None, has_npm: bool, said: str) -> None:
    assert said in (node_complaint(version, has_npm=has_npm) or "")


def test_the_demo_needs_no_go() -> None:
    assert not {machine.GO, machine.ENGINE, machine.WIRE_SERVER} & set(machine.COMMANDS["demo"])


@pytest.mark.parametrize("version", ["v20.0.0", "v24.1.0"])
def test_node_20_and_newer_do(version: str) -> None:
    assert node_complaint(version, has_npm=True) is None


@pytest.mark.parametrize("version", [(3, 10, 4), (3, 12, 0)])
def test_another_python_is_named_with_what_to_do(version: tuple[int, ...]) -> None:
    complaint = setup.python_complaint(version) or ""
    assert f"this is 3.{version[1]}." in complaint
    assert "make PYTHON=" in complaint


def test_python_3_11_does() -> None:
    assert setup.python_complaint((3, 11, 7)) is None


def test_make_says_so_when_there_is_no_python(tmp_path: Path) -> None:
    run = subprocess.run(
        ["make", "setup", f"PYTHON={tmp_path / 'python3.11'}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert "needs Python 3.11" in run.stderr
