"""Runs of `python -m connector.admin`, and what each must keep to whatever it was asked."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connector.admin.screen import WIDTH, width_of
from local.project import PYTHONPATH

LIMIT_S = 60.0
_COMMAND = [sys.executable, "-W", "error", "-m", "connector.admin"]


@dataclass(frozen=True, kw_only=True)
class Ended:
    status: int
    out: str
    errors: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """For one project."""

    project: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> Ended:
        """Never a traceback, and nothing wider than a terminal but ids, which must not be cut."""
        done = subprocess.run(
            [*_COMMAND, *arguments],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        assert "failed unexpectedly" not in done.stderr, done.stderr
        if "--json" not in arguments:
            folded = [line for line in done.stdout.splitlines() if "@s.whatsapp.net" not in line]
            too_wide = [line for line in folded if width_of(line) > WIDTH]
            assert not too_wide, too_wide
        return Ended(status=done.returncode, out=done.stdout, errors=done.stderr)

    def does(self, *arguments: str) -> str:
        """What a run that succeeds prints."""
        ended = self.run(*arguments)
        assert (ended.status, ended.errors) == (0, ""), (ended.out, ended.errors)
        return ended.out

    def data(self, *arguments: str) -> Any:
        return json.loads(self.does(*arguments, "--json"))

    def fails(self, status: int, *arguments: str) -> str:
        """What a run that ends with this status says on standard error."""
        ended = self.run(*arguments)
        assert ended.status == status, (ended.status, ended.out, ended.errors)
        assert ended.errors.strip()
        return ended.errors

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """One that goes on; the caller ends it."""
        return subprocess.Popen(
            [*_COMMAND, *arguments],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _environment(self) -> dict[str, str]:
        """Nothing of a Google account or a key of this machine's."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in ("THREADLINE_LOG_HASH_KEY", "GCLOUD_PROJECT")
        }
        return {**kept, "PYTHONPATH": PYTHONPATH, "GOOGLE_CLOUD_PROJECT": self.project, **self.environment}
