"""The mark in the environment of every process of one run, by which those that were left behind are found and ended."""

import os
import secrets
import time

import psutil

RUN_VARIABLE = "THREADLINE_RUN"
_SWEEP_PAUSE_S = 0.1


def new_run_id(purpose: str) -> str:
    return f"{purpose}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"


def marked(run_id: str) -> list[psutil.Process]:
    """The living processes that carry the mark. Zombies do not count: they have ended."""
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _carries(process, run_id)]


def kill_marked(run_id: str, *, time_limit_s: float = 10.0) -> list[psutil.Process]:
    """Kills all that carry the mark, until two looks in a row find none; returns those that outlived the time limit.

    Two looks, since a process that is just being started carries the mark only once it runs its own program.
    """
    deadline = time.monotonic() + time_limit_s
    looks_without_any = 0
    while looks_without_any < 2:
        found = marked(run_id)
        if found and time.monotonic() > deadline:
            return found
        looks_without_any = 0 if found else looks_without_any + 1
        for process in found:
            _kill(process)
        if looks_without_any < 2:
            time.sleep(_SWEEP_PAUSE_S)
    return []


def _carries(process: psutil.Process, run_id: str) -> bool:
    try:
        return process.environ().get(RUN_VARIABLE) == run_id and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False  # ended meanwhile, or another user's


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
