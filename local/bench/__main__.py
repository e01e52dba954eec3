"""python -m local.bench [--only out,in,import,memory,engine,backlogs,sessions,outage,failover,rollout]: `make bench`. Prints a table and writes out/bench.json."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict

from local import firestore_jar
from local.bench import backlogs, engine, failover, figures, imports, memory, outage, rollout, sessions
from local.bench.figures import Figure, figure
from local.bench.ground import BenchFailed, start_floor, start_product
from local.faults.stage import StageFailed
from local.processes import Processes, StartFailed
from local.project import OUT

_PARTS = ("import", "out", "in", "memory", "engine", "backlogs", "sessions", "outage", "failover", "rollout")


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.bench")
    parser.add_argument("--only", type=lambda text: text.split(","), default=_PARTS, help=",".join(_PARTS))
    parts = parser.parse_args().only
    print(f"{'':58}{'value':>9}{'floor':>9}{'ratio':>8}{'load':>7}", flush=True)
    measured: list[Figure] = []
    all_measured = True
    for figures_of_part in _chosen(parts):
        try:
            for found in figures_of_part():
                measured.append(found)
                print(_line(found), flush=True)
        except (StartFailed, StageFailed, BenchFailed, firestore_jar.NotFound) as problem:
            print(problem, file=sys.stderr, flush=True)  # the other parts say something all the same
            all_measured = False
    OUT.mkdir(exist_ok=True)
    (OUT / "bench.json").write_text(json.dumps([asdict(found) for found in measured], indent=1) + "\n")
    return 0 if all_measured else 1


def _chosen(parts: Sequence[str]) -> Iterator[Callable[[], Iterable[Figure]]]:
    if "import" in parts:
        yield imports.figures
    if {"out", "in", "memory"} & set(parts):
        yield lambda: _measure_product(parts)
    modules = {
        "engine": engine,
        "backlogs": backlogs,
        "sessions": sessions,
        "outage": outage,
        "failover": failover,
        "rollout": rollout,
    }
    for name, module in modules.items():
        if name in parts:
            yield module.figures


def _measure_product(parts: Sequence[str]) -> Iterator[Figure]:
    with Processes(purpose="bench") as of_product, Processes(purpose="bench-floor") as of_floor:
        product, floor = start_product(of_product), start_floor(of_floor)
        with closing(product.db), closing(floor.db):
            figures.warm_up((product, floor))
            if "out" in parts:
                yield from figures.outbound_singles(product, floor)
                yield figures.outbound_burst(product, floor)
            if "in" in parts:
                yield from figures.inbound_singles(product, floor)
                yield from figures.inbound_burst(product, floor, chats=20)
                yield from figures.inbound_burst(product, floor, chats=1)
            if "memory" in parts and memory.IS_KNOWN:
                least = memory.of_functions(of_floor)
                for name, held in sorted(memory.of_functions(of_product).items()):
                    yield figure(f"memory of {name}", held, "MB", least.get(name))
                for name, held in sorted(memory.of_children(of_product).items()):
                    yield figure(f"memory of {name} (process)", held, "MB", None)


def _line(found: Figure) -> str:
    value = f"{found.value:g} {found.unit}".strip()
    floor = "-" if found.floor is None else f"{found.floor:g}"
    ratio = "-" if found.ratio is None else f"{found.ratio:.2f}"
    return f"{found.row:56}{value:>12}{floor:>8}{ratio:>8}{found.load:>7}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
