"""The short `make faults`: one seed, a fault alone and then all together, over the whole product."""

import os
import subprocess
import sys

import pytest

from local.project import PYTHONPATH, ROOT


@pytest.mark.timeout(400)  # some 40 s on an idle machine of two cores
def test_under_faults_nothing_is_lost_duplicated_out_of_order_stuck_or_miscounted() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "local.faults", "--seeds", "1", "--n", "60", "--seed", "1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        check=False,
        timeout=390,
    )
    last = run.stdout.rstrip().rpartition("\n")[2].partition(" (")[0]
    promised = "lost=0 duplicated=0 out_of_order=0 stuck=0 miscounted=0"
    assert (run.returncode, last) == (0, f"faults: seeds=1 requests=60 inbound=60 {promised}"), run.stdout + run.stderr
