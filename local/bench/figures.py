"""The measurements: product and floor by turns, so that both meet the same minute of the machine."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.bench.ground import CHATS, Side

_WARM_UP_S = 8.0
_SINGLES = 50
_PAUSE_S = 0.2
"""Between two that are measured one at a time: longer than either takes."""
_CALM_LIMIT_S = 1.0
_CALM_RUNNING = 2
"""This process and one more."""
_LOAD = Path("/proc/loadavg")
_ROUNDS = 3
"""Of a burst, product and floor by turns; the median counts."""
_BURST_OUT = 200
_BURST_IN = 500

Series = Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row of the table. `ratio` is value / floor; `load` is the machine's, over the minute before."""

    row: str
    value: float
    unit: str
    floor: float | None
    ratio: float | None
    load: float


def figure(row: str, value: float, unit: str, floor: float | None) -> Figure:
    ratio = round(value / floor, 2) if floor else None
    rounded = None if floor is None else round(floor, 1)
    return Figure(
        row=row, value=round(value, 1), unit=unit, floor=rounded, ratio=ratio, load=round(os.getloadavg()[0], 1)
    )


def warm_up(sides: Sequence[Side]) -> None:
    """Processes, connections and the emulator's own code: the first seconds measure these."""
    until = time.monotonic() + _WARM_UP_S
    while time.monotonic() < until:
        for side in sides:
            names, _ = side.create_many(CHATS)
            rows = side.rows(range(CHATS))
            side.commit(rows)
            side.arrivals(names)
            side.taken_up(rows)
    _clear(sides)


def outbound_singles(product: Side, floor: Side) -> list[Figure]:
    """From the beginning of the create to the wire."""
    created: dict[str, list[tuple[str, float]]] = {product.name: [], floor.name: []}
    for number in range(_SINGLES):
        for side in (product, floor):
            _await_calm_machine()
            created[side.name].append(side.create(number % CHATS))
            time.sleep(_PAUSE_S)
    taken: list[list[float]] = []
    for side in (product, floor):
        arrived = side.arrivals(name for name, _ in created[side.name])
        taken.append([(arrived[name] - began) * 1000 for name, began in created[side.name]])
    _clear((product, floor))
    return _percentiles("create to wire, one at a time", *taken)


def outbound_burst(product: Side, floor: Side) -> Figure:
    def rate(side: Side) -> float:
        names, began = side.create_many(_BURST_OUT)
        return _BURST_OUT / (max(side.arrivals(names).values()) - began)

    value, least = _by_turns(product, floor, rate)
    return figure(f"create to wire, burst of {_BURST_OUT} over {CHATS} chats", value, "1/s", least)


def inbound_singles(product: Side, floor: Side) -> list[Figure]:
    """From the commit of the row to the commit of message and thread, by the emulator's clock."""
    sides = (product, floor)
    rows = {side.name: [side.rows([number % CHATS])[0] for number in range(_SINGLES)] for side in sides}
    for number in range(_SINGLES):
        for side in sides:
            _await_calm_machine()
            side.commit([rows[side.name][number]])
            time.sleep(_PAUSE_S)
    taken = [[(done - logged) * 1000 for logged, done in side.taken_up(rows[side.name]).values()] for side in sides]
    _clear(sides)
    return _percentiles("row to thread, one at a time", *taken)


def inbound_burst(product: Side, floor: Side, chats: int) -> list[Figure]:
    """Rows a second, and invocations that failed on the way (each is tried again, so nothing is lost by them)."""
    before = product.errors(), floor.errors()

    def rate(side: Side) -> float:
        rows = side.rows([number % chats for number in range(_BURST_IN)])
        side.commit(rows)
        times = side.taken_up(rows).values()
        return _BURST_IN / (max(done for _, done in times) - min(logged for logged, _ in times))

    value, least = _by_turns(product, floor, rate)
    where = f"over {chats} chats" if chats > 1 else "in one chat"
    what = f"row to thread, burst of {_BURST_IN} {where}"
    failed = product.errors() - before[0], floor.errors() - before[1]
    return [figure(what, value, "1/s", least), figure(f"{what}: failed", failed[0], "invocations", failed[1])]


def _by_turns(product: Side, floor: Side, measure: Callable[[Side], float]) -> tuple[float, float]:
    values: list[tuple[float, float]] = []
    for _ in range(_ROUNDS):
        values.append((measure(product), measure(floor)))
        _clear((product, floor))
    return statistics.median(value for value, _ in values), statistics.median(least for _, least in values)


def _percentiles(what: str, values: Series, least: Series) -> list[Figure]:
    return [
        figure(f"{what}, {name}", _percentile(values, part), "ms", _percentile(least, part))
        for name, part in (("p50", 0.5), ("p95", 0.95))
    ]


def _await_calm_machine() -> None:
    """Where other programs keep the machine busy, one at a time begins in a moment in which they pause; for both sides alike."""
    until = time.monotonic() + _CALM_LIMIT_S
    while _LOAD.exists() and int(_LOAD.read_text().split()[3].partition("/")[0]) > _CALM_RUNNING:
        if time.monotonic() > until:
            return
        time.sleep(0.002)


def _percentile(values: Series, part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def _clear(sides: Sequence[Side]) -> None:
    for side in sides:
        side.clear()
