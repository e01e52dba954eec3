"""Runs of the real `python -m connector.admin` on the drills' project, and what they show."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from local.project import PROJECT_ID, PYTHONPATH, ROOT

_LIMIT_S = 90.0
_AT_ONCE = 3
"""Each takes a second of a core to start: more at once would slow down what is measured."""
_COMMAND = [sys.executable, "-m", "connector.admin"]


class CommandFailed(Exception):
    """A command of the runbook did not do what it says."""


@dataclass(frozen=True, kw_only=True)
class Screen:
    """What a command showed, or what is seen elsewhere; `drill` is whose."""

    drill: str
    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    firestore: str
    screens: list[Screen] = field(default_factory=list)
    _turns: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_AT_ONCE))

    def run(self, *arguments: str) -> str:
        """Its output. Raises CommandFailed."""
        with self._turns:
            done = subprocess.run(
                [*_COMMAND, *arguments],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_LIMIT_S,
            )
        if done.returncode != 0:
            raise CommandFailed(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def show(self, drill: str, *arguments: str) -> None:
        """Keeps the screen."""
        self.screens.append(Screen(drill=drill, title=_typed(arguments), text=self.run(*arguments)))

    def pair(self, drill: str, account: str, phone: str, enter: Callable[[str], None]) -> bool:
        """`pair ACCOUNT --phone NUMBER`; `enter` types the code that it shows into the phone. Whether the account was connected."""
        arguments = ("pair", account, "--phone", phone)
        process = subprocess.Popen(
            [*_COMMAND, *arguments],
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if code := re.match(r"Type this code: (\S+)", line):
                    enter(code[1])
        self.screens.append(Screen(drill=drill, title=_typed(arguments), text="".join(lines)))
        return process.returncode == 0

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": PYTHONPATH,
            "PYTHONUNBUFFERED": "1",
            "GOOGLE_CLOUD_PROJECT": PROJECT_ID,
            "FIRESTORE_EMULATOR_HOST": self.firestore,
        }


def _typed(arguments: Sequence[str]) -> str:
    return f"$ python -m connector.admin {' '.join(arguments)}"
