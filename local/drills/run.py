"""Carries the drills out: side by side those that keep to their own account, then one after the other those that strike everybody."""

import sys
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from core.account import DesiredState
from local.chaos.wire import wire_findings
from local.control_client import ControlRefused
from local.drills.case import Case
from local.drills.command_line import CommandFailed
from local.drills.drill import Drill, Line
from local.drills.ground import Ground
from local.drills.people import People
from local.drills.watch import NotSeen, Watch

_AT_ONCE = 12


def run(ground: Ground, drills: Sequence[Drill], people: Sequence[People]) -> tuple[list[Line], list[str]]:
    """A line a drill, in the order of the list, whenever each was run; and findings that are of no drill. Raises StageFailed."""
    cases = [Case(ground=ground, drill=drill, people=each) for drill, each in zip(drills, people, strict=True)]
    for case in cases:
        ground.network.add_contact(case.people.contact, "Ana")
    side_by_side = sorted(
        (case for case in cases if not case.drill.at_the_end), key=lambda case: not case.drill.is_long
    )
    ground.prepare([account for case in side_by_side if not case.drill.is_new for account in case.people.accounts])
    with ThreadPoolExecutor(_AT_ONCE) as at_once:
        list(at_once.map(_run, side_by_side))
    at_the_end = [case for case in cases if case.drill.at_the_end]
    if at_the_end:
        for case in side_by_side:
            _rest(case)
    for case in at_the_end:
        ground.prepare(case.people.accounts)
        _run(case)
        _rest(case)
    for case in cases:
        look_for_other_alerts(case)
    return [case.line for case in cases], [*alerts_of_nobody(ground.watch, cases), *_outside(ground)]


def alerts_of_nobody(watch: Watch, cases: Sequence[Case]) -> list[str]:
    strange = [each for each in watch.alerts() if not any(case.is_about(each.document) for case in cases)]
    return [f"an alert of no drill's account: {each.document['type']}" for each in strange]


def _outside(ground: Ground) -> list[str]:
    """What the wire-level server has seen that no session may do."""
    return [f"{finding.where}: {finding.what}" for finding in wire_findings(ground.world.ports.network_control)]


def _run(case: Case) -> None:
    try:
        case.drill.run(case)
    except (NotSeen, CommandFailed, ControlRefused) as problem:
        case.line.findings.append(str(problem))
    except Exception:  # noqa: BLE001 - a thread's edge: the other drills go on, and this one has failed
        case.line.findings.append(traceback.format_exc())
    found = len(case.line.findings)
    print(f"  {case.drill.name}: {f'{found} findings' if found else 'as expected'}", file=sys.stderr, flush=True)


def _rest(case: Case) -> None:
    try:
        case.ground.want(case.people.accounts, DesiredState.PAUSED)
    except NotSeen as problem:
        case.line.findings.append(f"afterwards: {problem}")


def look_for_other_alerts(case: Case) -> None:
    """None but the drill's own was ever open, and none is left open."""
    for each in case.ground.watch.alerts():
        if not case.is_about(each.document):
            continue
        if each.document["type"] not in {case.drill.alert, *case.drill.also}:
            case.line.findings.append(f"an alert that nobody expected: {each.document['type']}")
        elif each.document["resolvedAt"] is None:
            case.line.findings.append(f"an alert is still open: {each.document['type']}")
