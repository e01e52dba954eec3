"""The command `doctor`: runs the checks, prints a table of findings, and ends with an exit status that says whether something is wrong."""

from argparse import Namespace
from collections.abc import Sequence

from connector.admin.context import Context, firestore_emulator
from connector.admin.doctor.canary_row import send_row_canary
from connector.admin.doctor.check import Result
from connector.admin.doctor.cloud.project import Unreadable, find_project
from connector.admin.doctor.examination import Found, examined, overall
from connector.admin.doctor.patient import Patient
from connector.admin.endings import Failed, NotChecked
from connector.admin.screen import Column, Row, width_of

_COLUMNS = (Column(title="CHECK"), Column(title="RESULT"), Column(title="FOUND", shrinks=True))
_COMMANDS = ("gcloud ", "make ")
_CELL = 54
"""Columns that the longest names of checks and results leave of a line."""


def examine(context: Context, arguments: Namespace) -> None:
    """Raises Failed if a check found a fault, and NotChecked if none did but some checks could not be made."""
    found = list(examined(_patient(context, arguments)))
    if context.screen.as_json:
        context.screen.data(_data(context, found))
    else:
        context.screen.table(_COLUMNS, [_row(each) for each in found])
    _end(found)


def _patient(context: Context, arguments: Namespace) -> Patient:
    canary = send_row_canary(context, arguments.wait)
    if firestore_emulator():
        return Patient(context=context, canary=canary, wait_s=arguments.wait)
    try:
        project = find_project(context.project, region=arguments.region, database=context.database)
    except Unreadable as why:
        return Patient(context=context, canary=canary, wait_s=arguments.wait, why_no_cloud=str(why))
    return Patient(context=context, canary=canary, wait_s=arguments.wait, cloud_project=project)


def _row(each: Found) -> Row:
    """The row of a finding, on one line if it fits. Its text is never cut."""
    finding = each.finding
    text = f"{finding.about}: {finding.found}" if finding.about else finding.found
    if not finding.what_to_do and width_of(text) <= _CELL:
        return Row(cells=[each.check.name, finding.result, text])
    cells, found = [each.check.name, finding.result, finding.about], f"{finding.found}."
    if finding.what_to_do.startswith(_COMMANDS):
        return Row(cells=cells, notes=[found, "To do:"], to_copy=[finding.what_to_do])
    return Row(cells=cells, notes=[found] + ([f"To do: {finding.what_to_do}"] if finding.what_to_do else []))


def _data(context: Context, found: Sequence[Found]) -> dict[str, object]:
    return {
        "project": context.project,
        "onEmulator": firestore_emulator() is not None,
        "result": str(overall(found)),
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


def _end(found: Sequence[Found]) -> None:
    counts = {result: sum(each.finding.result is result for each in found if each.finding.counts) for result in Result}
    match overall(found):
        case Result.WRONG:
            raise Failed(f"{counts[Result.WRONG]} of {len(found)} findings are wrong; each says what to do")
        case Result.NOT_CHECKED:
            raise NotChecked(f"no check found a fault; {counts[Result.NOT_CHECKED]} could not be made")
        case Result.OK:
            return
