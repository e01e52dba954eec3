"""A short `make drills`: some causes are provoked in the whole product, shown, mended and over."""

import os
import re
import subprocess
import sys

import pytest

from local.project import PYTHONPATH, ROOT

_ONLY = ("unlinked", "replaced", "outdated")


@pytest.mark.timeout(200)  # some 20 s on an idle machine of two cores
def test_each_cause_shows_itself_and_is_over_when_it_is_mended() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "local.drills", "--small", "--only", ",".join(_ONLY)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        check=False,
        timeout=190,
    )
    last = run.stdout.rstrip().rpartition("\n")[2]
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.match(rf"drills: {len(_ONLY)} findings=0 scale=0\.15 ", last), run.stdout
    assert "$ python -m connector.admin account unlinked\n" in run.stdout, "the screens"
