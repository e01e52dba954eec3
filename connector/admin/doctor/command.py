"""`doctor`: examines the deployment, shows a table of findings, and ends with a status that says whether something is wrong."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connector.admin.context import Context, firestore_emulator
from connector.admin.doctor import (
    addresses,
    canary_request,
    clocks,
    round_trips,
    stores,
    trigger,
    versions,
)
from connector.admin.doctor.canary_row import Ending, send_row_canary
from connector.admin.doctor.check import Check, Finding, Need, Result, not_checked
from connector.admin.doctor.patient import Patient
from connector.admin.endings import Failed, NotChecked
from connector.admin.screen import Column, Row

CHECKS: tuple[Check, ...] = (
    *trigger.CHECKS,
    *versions.CHECKS,
    *round_trips.CHECKS,
    *addresses.CHECKS,
    *stores.CHECKS,
    *clocks.CHECKS,
    *canary_request.CHECKS,
)
_COLUMNS = (Column(title="CHECK"), Column(title="RESULT"), Column(title="FOUND", shrinks=True))


@dataclass(frozen=True, kw_only=True)
class Found:
    check: Check
    finding: Finding


def examine(context: Context, arguments: Namespace) -> None:
    """Raises Failed where something is wrong, and NotChecked where nothing is wrong as far as could be checked."""
    canary = send_row_canary(context, arguments.wait)
    patient = Patient(context=context, canary=canary, wait_s=arguments.wait)
    found = [each for check in CHECKS for each in _run(check, patient)]
    if context.screen.as_json:
        context.screen.data(_data(context, found))
    else:
        context.screen.table(_COLUMNS, [_row(each) for each in found])
    _end(found)


def _run(check: Check, patient: Patient) -> Iterator[Found]:
    for finding in _findings(check, patient):
        yield Found(check=check, finding=finding)


def _findings(check: Check, patient: Patient) -> Sequence[Finding]:
    if Need.REPORT in check.needs and patient.canary.ending is not Ending.REPORTED:
        return [not_checked("it needs the functions' report; see the ingest trigger")]
    if Need.GOOGLE_CLOUD in check.needs and firestore_emulator():
        return [not_checked("not on an emulator", counts=False)]
    return check.examine(patient) or [not_checked("no connector answered")]


def _row(each: Found) -> Row:
    finding = each.finding
    if finding.result is Result.OK:
        about = f"{finding.about}: " if finding.about else ""
        return Row(cells=[each.check.name, finding.result, f"{about}{finding.found}"])
    notes = [f"{finding.found}."] + ([f"To do: {finding.what_to_do}"] if finding.what_to_do else [])
    return Row(cells=[each.check.name, finding.result, finding.about], notes=notes)


def _data(context: Context, found: Sequence[Found]) -> dict[str, object]:
    return {
        "project": context.project,
        "onEmulator": firestore_emulator() is not None,
        "result": str(_result(found)),
        "findings": [
            {
                "check": each.check.name,
                "about": each.finding.about or None,
                "result": str(each.finding.result),
                "found": each.finding.found,
                "whatToDo": each.finding.what_to_do or None,
            }
            for each in found
        ],
    }


def _result(found: Sequence[Found]) -> Result:
    results = {each.finding.result for each in found if each.finding.counts}
    return next((result for result in (Result.WRONG, Result.NOT_CHECKED) if result in results), Result.OK)


def _end(found: Sequence[Found]) -> None:
    counts = {result: sum(each.finding.result is result for each in found if each.finding.counts) for result in Result}
    match _result(found):
        case Result.WRONG:
            raise Failed(f"{counts[Result.WRONG]} of {len(found)} findings are wrong; each says what to do")
        case Result.NOT_CHECKED:
            raise NotChecked(
                f"nothing is wrong as far as was checked; {counts[Result.NOT_CHECKED]} could not be checked"
            )
        case Result.OK:
            return
