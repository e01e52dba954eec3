"""python -m local.drills [--only gap,deaf] [--scale 0.15] [--screens FOLDER] [--small]: `make drills`.

local/drills/README.md says how to read it. Status 0 only when every alert and field that was expected appeared, and was over
when its cause was mended, and no other alert was opened.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from local import firestore_jar
from local.drills.catalogue import DRILLS
from local.drills.drill import Drill
from local.drills.ground import running
from local.drills.people import people_of
from local.drills.run import run
from local.drills.table import screens, table, write_screens
from local.faults.stage import StageFailed
from local.processes import Processes, StartFailed

_TIME_SCALE = 0.15
"""That of `make chaos`: a lease lives 3.6 s, and the sweeper runs each 9 s."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.drills")
    parser.add_argument("--only", type=_named, default=DRILLS, help=f"of: {','.join(drill.name for drill in DRILLS)}")
    parser.add_argument("--scale", type=float, default=_TIME_SCALE, help="of the product's time constants")
    parser.add_argument("--screens", type=Path, help="a folder for what the command line shows; else it is printed")
    parser.add_argument("--small", action="store_true", help="one connector on a SQLite file; not for all drills")
    options = parser.parse_args()
    try:
        return _play(options)
    except (StartFailed, StageFailed, firestore_jar.NotFound) as problem:
        print(problem, file=sys.stderr)
        return 1


def _play(options: argparse.Namespace) -> int:
    began, drills = time.monotonic(), options.only
    people = [people_of(drill.name, DRILLS.index(drill), drill.accounts) for drill in drills]
    connectors = 1 if options.small else 2
    with (
        Processes(purpose="drills") as processes,
        running(processes, time_scale=options.scale, connectors=connectors, on_sqlite=options.small) as ground,
    ):
        lines, strange = run(ground, drills, people)
        if options.screens is not None:
            write_screens(ground.admin.screens, options.screens)
        else:
            print(screens(ground.admin.screens))
        folder = processes.folder
    print(table(lines))
    findings = [f"{line.drill.name}: {finding}" for line in lines for finding in line.findings] + strange
    for finding in findings:
        print(f"  {finding}")
    if findings:
        print(f"  {len(findings)} findings; logs: {folder}")
    spent = f"{time.monotonic() - began:.0f} s"
    load = f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"drills: {len(lines)} findings={len(findings)} scale={options.scale:g} load={load} {spent}", flush=True)
    return 1 if findings else 0


def _named(text: str) -> tuple[Drill, ...]:
    names = text.split(",")
    if unknown := set(names) - {drill.name for drill in DRILLS}:
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
    return tuple(drill for drill in DRILLS if drill.name in names)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
