"""The short `make faults`: one seed, a fault alone and then all together, over the whole product; and kills at the commits of merges."""

import os
import re
import subprocess
import sys

import pytest

from local.project import PYTHONPATH, ROOT

PROMISED = "lost=0 duplicated=0 out_of_order=0 stuck=0 miscounted=0"


def faults(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.faults", "--seeds", "1", "--seed", "1", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        check=False,
        timeout=390,
    )


@pytest.mark.timeout(400)  # some 40 s on an idle machine of two cores
def test_under_faults_nothing_is_lost_duplicated_out_of_order_stuck_or_miscounted() -> None:
    run = faults("--n", "60")
    last = run.stdout.rstrip().rpartition("\n")[2].partition(" (")[0]
    assert (run.returncode, last) == (0, f"faults: seeds=1 requests=60 inbound=60 {PROMISED}"), run.stdout + run.stderr


@pytest.mark.timeout(400)  # some 40 s on an idle machine of two cores
def test_kills_at_the_commits_that_join_two_threads_break_nothing() -> None:
    run = faults("--n", "40", "--merges", "--kinds", "killed")
    said = re.fullmatch(
        rf"faults: seeds=1 requests=40 inbound=40 {PROMISED} \(struck=\d+\) merges=4 kills=\d+ kills_in_merge=[1-9]\d*",
        run.stdout.rstrip().rpartition("\n")[2],
    )
    assert (run.returncode, said is not None) == (0, True), run.stdout + run.stderr
