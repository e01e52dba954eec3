"""The canary row. The doctor creates it in the ingest log, the ingest trigger writes a report into it, and the doctor deletes it."""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

from google.api_core import exceptions
from google.cloud.firestore import SERVER_TIMESTAMP

from connector.admin.context import Change, Conflict, Context, now
from connector.admin.doctor.report import Clock, Report, parse_report
from core import diagnosis, schema
from core.alert import alert_id, resolved_fields
from core.errors import ErrorCode, code_of

_POLL_S = 0.25


class Ending(Enum):
    REPORTED = auto()
    NOT_TAKEN = auto()
    """No function has processed the row."""
    SWEPT = auto()
    """The sweeper closed the row: the trigger was not called."""
    NOT_REPORTED = auto()
    """The trigger was called, but there is no report."""
    OLDER_FUNCTIONS = auto()
    """The functions' version does not support the diagnosis."""


@dataclass(frozen=True, kw_only=True)
class RowCanary:
    ending: Ending
    waited_s: float
    own_clock: Clock
    """The offset of this machine's clock from Firestore's."""
    report: Report | None = None


def send_row_canary(context: Context, wait_s: float) -> RowCanary:
    """Waits up to `wait_s` for the trigger, and up to `wait_s` again for its report. Deletes the row."""
    name = secrets.token_hex(8)
    reference = context.reference(schema.INGEST, diagnosis.row_id(name))
    began = time.monotonic()
    readings = [_reading(lambda: reference.create(diagnosis.row_document(name, SERVER_TIMESTAMP)).update_time)]
    document: dict[str, Any] = {}
    try:
        document = _await_end(context, diagnosis.row_id(name), wait_s)
    finally:
        with suppress(exceptions.GoogleAPICallError):  # Firestore's TTL removes it, if it was processed
            readings.append(_reading(reference.delete))
    own_clock = min(readings, key=lambda reading: reading.uncertainty_s)
    ending = _ending(document)
    if ending is Ending.OLDER_FUNCTIONS:
        _resolve_its_alert(context, document)
    report = parse_report(document["payload"]["report"]) if ending is Ending.REPORTED else None
    return RowCanary(ending=ending, waited_s=time.monotonic() - began, own_clock=own_clock, report=report)


def _reading(write: Callable[[], Any]) -> Clock:
    """The offset of this machine's clock from Firestore's time of a write, which lies between sending the write and its answer."""
    began_at, began = now(), time.monotonic()
    written_at: datetime = write()
    round_trip_s = time.monotonic() - began
    return Clock(
        offset_s=(began_at - written_at).total_seconds() + round_trip_s / 2,
        uncertainty_s=round_trip_s / 2,
    )


def _await_end(context: Context, row: str, wait_s: float) -> dict[str, Any]:
    """The row after it was answered or the time ran out."""
    deadline, is_taken = time.monotonic() + wait_s, False
    while True:
        stored = context.read(schema.INGEST, row)
        document = stored.document if stored is not None else {}
        if document.get("processed") is True:
            return document
        if not is_taken and document.get("processAttempts"):
            deadline, is_taken = time.monotonic() + wait_s, True
        if time.monotonic() > deadline:
            return document
        time.sleep(_POLL_S)


def _ending(document: dict[str, Any]) -> Ending:
    if document.get("lastProcessError"):
        return Ending.OLDER_FUNCTIONS
    if isinstance(document.get("payload"), dict) and document["payload"].get("report"):
        return Ending.REPORTED
    if document.get("processed") is True:
        return Ending.SWEPT
    return Ending.NOT_REPORTED if document.get("processAttempts") else Ending.NOT_TAKEN


def _resolve_its_alert(context: Context, document: dict[str, Any]) -> None:
    """Resolves the alert that older functions raise for a row that they do not understand. The row is deleted, so the alert has no cause left."""
    error = str(document["lastProcessError"])
    if code_of(error) is not ErrorCode.EVENT_TYPE_UNKNOWN:
        return
    cause = f"{diagnosis.ACCOUNT}|{error.partition(': ')[2]}"
    reference = context.reference(schema.ALERTS, alert_id(ErrorCode.EVENT_TYPE_UNKNOWN, cause))
    with suppress(Conflict):
        context.commit([Change(reference=reference, fields=resolved_fields(now()))])
