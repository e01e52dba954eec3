"""The short `make chaos`: engine and connector are killed while people converse, over the real protocol, on both stores."""

import os
import re
import subprocess
import sys

import pytest

from local.project import PYTHONPATH, ROOT

FAULTS = 6


@pytest.mark.timeout(500)  # some 40 s each on an idle machine of two cores
@pytest.mark.parametrize(("store", "seed"), [("sqlite", 7), ("postgres", 8)])
def test_killed_at_any_moment_nothing_is_lost_duplicated_out_of_order_or_stuck(store: str, seed: int) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "local.chaos", "--faults", str(FAULTS), "--seed", str(seed), "--store", store],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        check=False,
        timeout=480,
    )
    promised = "lost=0 duplicated=0 out_of_order=0 stuck=0"
    expected = f"chaos: faults={FAULTS} in=24 out=24 {promised} seed={seed}"
    assert (run.returncode, run.stdout.rstrip().rpartition("\n")[2]) == (0, expected), run.stdout + run.stderr
    assert re.search(r"killed: ", run.stdout)
