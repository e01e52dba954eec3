"""What each process of a world holds: its own part of memory, shared pages divided by their sharers."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from local.processes import Processes

_PROC = Path("/proc")
IS_KNOWN = (_PROC / "self/smaps_rollup").exists()
"""Linux alone tells it."""


@dataclass(frozen=True, kw_only=True)
class _Process:
    pid: int
    parent: int
    function: str
    """Empty: it serves no function."""
    pss_mb: float


def of_functions(processes: Processes) -> dict[str, float]:
    """MB by function; a function's master and worker together."""
    return {name: mb for name, mb in _held(processes).items() if name in _functions(processes)}


def of_children(processes: Processes) -> dict[str, float]:
    """MB by child process, without the functions that it started."""
    return {name: mb for name, mb in _held(processes).items() if name not in _functions(processes)}


def _functions(processes: Processes) -> set[str]:
    return {process.function for process in _descendants(processes).values() if process.function}


def _held(processes: Processes) -> dict[str, float]:
    """By function, and by the name of the child where a process serves none."""
    all_of_them, names = _descendants(processes), {child.process.pid: child.name for child in processes.children}
    held = defaultdict[str, float](float)
    for process in all_of_them.values():
        ancestor = process
        while ancestor.pid not in names:
            ancestor = all_of_them[ancestor.parent]
        held[process.function or names[ancestor.pid]] += process.pss_mb
    return held


def _descendants(processes: Processes) -> dict[int, _Process]:
    parents = {int(entry.name): _parent(entry) for entry in _PROC.iterdir() if entry.name.isdigit()}
    found = {child.process.pid for child in processes.children}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: made for pid in found if (made := _read(pid, parents.get(pid, 0))) is not None}


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0  # it has just ended


def _read(pid: int, parent: int) -> _Process | None:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    named = [entry.partition(b"=")[2].decode() for entry in environment if entry.startswith(b"FUNCTION_TARGET=")]
    kilobytes = next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return _Process(pid=pid, parent=parent, function=named[0] if named else "", pss_mb=kilobytes / 1024)
