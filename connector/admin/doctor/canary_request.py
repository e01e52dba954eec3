"""The check with the canary request. The doctor creates the request in the outbox; trigger and Cloud Tasks bring it to a send job, which ends it. Nothing is sent."""

import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from google.api_core import exceptions
from google.cloud.firestore import SERVER_TIMESTAMP

from connector.admin.context import Context
from connector.admin.doctor.check import Check, Finding, Need, ok, wrong
from connector.admin.doctor.patient import Patient
from connector.admin.times import span
from core import diagnosis, schema
from core.errors import ErrorCode, code_of

_POLL_S = 0.25


def _examine(patient: Patient) -> Sequence[Finding]:
    began = time.monotonic()
    request = _send(patient.context, patient.wait_s)
    if code_of(request.get("lastError")) is ErrorCode.DIAGNOSED:
        return [ok(f"it reached its send job in {time.monotonic() - began:.1f} s")]
    if request.get("lastError"):
        return [
            wrong(
                f"the request ended as {code_of(request['lastError']) or 'unknown'} instead of diagnosed",
                "Deploy the functions of this version (docs/rollout.md).",
            )
        ]
    if request.get("waMessageKey"):
        return [
            wrong(
                f"threadlineOnOutbox took the request, and no send job came within {span(patient.wait_s)}",
                "Look at the queue threadlineSend (is it paused, do tasks wait?), at the logs of threadlineOnOutbox and threadlineSend, and at the "
                "roles cloudtasks.enqueuer (functions) and run.invoker (tasks account on threadlineSend).",
            )
        ]
    return [
        wrong(
            f"threadlineOnOutbox did not take the request within {span(patient.wait_s)}",
            "Look at the Eventarc trigger of threadlineOnOutbox and at its log; deploy the functions.",
        )
    ]


def _send(context: Context, wait_s: float) -> dict[str, Any]:
    """The request after it ended or the time ran out. Deletes the request."""
    name = secrets.token_hex(8)
    request = diagnosis.outbox_id(name)
    reference = context.reference(schema.OUTBOX, request)
    reference.create(diagnosis.request_document(name, SERVER_TIMESTAMP))
    try:
        deadline = time.monotonic() + wait_s
        while True:
            stored = context.read(schema.OUTBOX, request)
            document = stored.document if stored is not None else {}
            if document.get("status") == "failed" or time.monotonic() > deadline:
                return document
            time.sleep(_POLL_S)
    finally:
        with suppress(exceptions.GoogleAPICallError):
            reference.delete()


CHECKS = (Check(name="a message to a send job", needs=frozenset({Need.REPORT}), examine=_examine),)
