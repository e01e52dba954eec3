"""python -m local.chaos [--faults 300] [--seed 1] [--store sqlite|postgres] [--messages 4]: `make chaos`.

Over the real engine and the wire-level server. Status 0 only when nothing was lost, duplicated, out of order, stuck or miscounted.
"""

import argparse
import sys
import time
from contextlib import ExitStack, closing
from pprint import pformat

from local import firestore_jar, postgres
from local.chaos.campaign import Campaign, CampaignFailed
from local.chaos.strikes import draw_strikes
from local.faults import rounds
from local.faults.cast import make_cast
from local.faults.judge import Broken, judge
from local.faults.record import take_record
from local.faults.stage import Stage, StageFailed
from local.processes import Processes, StartFailed
from local.production import world as production
from local.whatsapp import NetworkKind

_SWEEP_INTERVAL_S = 60.0
_SHOWN_FINDINGS = 20
_JUDGED = (Broken.LOST, Broken.DUPLICATED, Broken.OUT_OF_ORDER, Broken.STUCK)


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.chaos")
    parser.add_argument("--faults", type=int, default=300, help="how often something is killed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite", help="the engine's")
    parser.add_argument("--messages", type=int, default=4, help="requests a fault, and as many inbound messages")
    options = parser.parse_args()
    try:
        return _play(options)
    except (StartFailed, StageFailed, CampaignFailed, firestore_jar.NotFound) as problem:
        print(problem, file=sys.stderr)
        return 1


def _play(options: argparse.Namespace) -> int:
    began = time.monotonic()
    cast = make_cast(options.seed, 0, options.faults * options.messages)
    with Processes(purpose="chaos") as processes, ExitStack() as stack:
        store = None
        if options.store == "postgres":
            store = stack.enter_context(postgres.running(processes)).dsn
        plan_file = processes.folder / "die"
        world = production.start(
            processes,
            time_scale=rounds.TIME_SCALE,
            network=NetworkKind.REAL,
            engine_store=store,
            connector_environment={"WIRE_DIE_FILE": str(plan_file)},
        )
        production.start_scheduler(world, interval_s=_SWEEP_INTERVAL_S, time_scale=rounds.TIME_SCALE)
        db = stack.enter_context(closing(world.client()))
        stage = Stage(db=db, network=world.network)
        stage.prepare(cast)
        campaign = Campaign(
            world=world,
            stage=stage,
            cast=cast,
            strikes=draw_strikes(options.seed, options.faults),
            plan_file=plan_file,
        )
        campaign.run()
        rounds.wait_while_it_shrinks(lambda: rounds.unsettled(world, db, cast))
        record = take_record(world, db, cast)
        verdict = judge(cast, record)
        for what, times in sorted(campaign.done.items()):
            print(f"  killed: {what}: {times}")
        print(f"  {verdict.adjacent_repeats} adjacent repeats, {time.monotonic() - began:.0f} s, store {options.store}")
        for finding in verdict.findings[:_SHOWN_FINDINGS]:
            print(f"  {finding.broken}: {finding.where}: {finding.what}")
        if verdict.findings:
            (processes.folder / "record.txt").write_text(pformat(record, width=160))
            print(f"  {len(verdict.findings)} findings; logs: {processes.folder}")
    counts = " ".join(f"{kind}={verdict.count(kind)}" for kind in _JUDGED)
    said = f"in={len(cast.all_inbound())} out={len(cast.all_requests())}"
    print(f"chaos: faults={sum(campaign.done.values())} {said} {counts} seed={options.seed}", flush=True)
    return 1 if verdict.findings else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
