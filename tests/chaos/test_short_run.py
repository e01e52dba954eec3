"""Short `make chaos`: connectors are killed and frozen while people converse, over either network; engines on SQLite are killed."""

import os
import re
import subprocess
import sys

import pytest

from local.project import PYTHONPATH, ROOT

_GIVEN_AWAY = ("--kinds", "stolen")
"""The lease's epoch and the store's stand alone between two owners."""
_ON_SQLITE = ("--store", "sqlite", "--connectors", "1", "--kinds", "killed")


@pytest.mark.timeout(500)  # some 40 s each on an idle machine of two cores
@pytest.mark.parametrize(
    ("network", "seed", "faults", "options"),
    [("real", 7, 12, ()), ("simulated", 7, 12, ()), ("real", 5, 4, _ON_SQLITE), ("real", 33, 4, _GIVEN_AWAY)],
)
def test_whatever_is_struck_nothing_is_lost_duplicated_out_of_order_or_stuck(
    network: str, seed: int, faults: int, options: tuple[str, ...]
) -> None:
    drawn = ("--faults", str(faults), "--seed", str(seed), "--network", network)
    run = subprocess.run(
        [sys.executable, "-m", "local.chaos", *drawn, *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        check=False,
        timeout=480,
    )
    said = re.fullmatch(
        rf"chaos: faults={faults} in=\d+ out=\d+ lost=0 duplicated=0 out_of_order=0 stuck=0 seed={seed}",
        run.stdout.rstrip().rpartition("\n")[2],
    )
    assert (run.returncode, said is not None) == (0, True), run.stdout + run.stderr
