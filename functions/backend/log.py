"""What the functions log: one named function for each noteworthy event, as JSON lines that Cloud Logging understands.

Never a message's text, a phone number or an id that holds one: accounts by their id, all else by a short keyed hash.
"""

import json
import os
import sys
import traceback

from core.alert import Change
from core.alert_telling import Told
from core.errors import ErrorCode
from core.ids import AccountId
from core.log_hash import log_hash, log_hash_key


def row_refused(account: AccountId | None, event_id: str, code: ErrorCode) -> None:
    _write("WARNING", "a row of the ingest log was kept and marked", accountId=account, row=_hash(event_id), code=code)


def request_refused(account: AccountId | None, request_id: str, code: ErrorCode) -> None:
    _write("WARNING", "an outbox document was refused", accountId=account, request=_hash(request_id), code=code)


def request_settled(account: AccountId, request_id: str, outcome: str, attempts: int) -> None:
    _write(
        "INFO",
        "a send attempt was settled",
        accountId=account,
        request=_hash(request_id),
        outcome=outcome,
        attempts=attempts,
    )


def request_expired(account: AccountId, request_id: str, error: ErrorCode | None) -> None:
    _write(
        "WARNING", "a request was past its account's limit", accountId=account, request=_hash(request_id), code=error
    )


def request_decided(account: AccountId, request_id: str, decision: str) -> None:
    _write("INFO", "a person ended a request", accountId=account, request=_hash(request_id), decision=decision)


def number_looked_up(account: AccountId, uid: str, phone_e164: str, *, is_found: bool) -> None:
    """A record of who looked up which number, as hashes. whatsapp_lookups has the same for 90 days."""
    message = "a person had a number looked up at WhatsApp"
    _write("NOTICE", message, accountId=account, person=_hash(uid), number=_hash(phone_e164), isFound=is_found)


def lookup_refused(account: AccountId, uid: str, phone_e164: str) -> None:
    message = "a number look-up was refused: the account or the person has reached the limit"
    _write("WARNING", message, accountId=account, person=_hash(uid), number=_hash(phone_e164))


def endpoint_not_allowed(account: AccountId) -> None:
    _write("ERROR", "a lease names an address outside CONNECTOR_ENDPOINTS", accountId=account)


def diagnosed(connectors: int) -> None:
    _write("INFO", "a report was written for the doctor", connectors=connectors)


def contract_refused(version: int | None, served: str) -> None:
    _write(
        "WARNING", "a connector's call was refused: it is of another contract version", version=version, served=served
    )


def contract_refused_by_connector(version: int, served: str | None) -> None:
    message = "a connector refused a call: functions and connector are of contract versions that do not fit"
    _write("WARNING", message, version=version, served=served)


def account_flushed(account: AccountId, threads: int) -> None:
    _write("INFO", "an account's waiting threads were woken", accountId=account, threads=threads)


def swept(**counts: int) -> None:
    """One line a run, also of one that found nothing: monitoring/ has an alert for when none comes."""
    _write("INFO", "the sweeper has run", sweep=counts)


def sweep_step_failed(step: str) -> None:
    _write("ERROR", "a step of the sweep failed; the next sweep tries again", step=step, stack=_traceback())


def pause_told(account: AccountId) -> None:
    _write("INFO", "the owner of a paused account had died before it could say so", accountId=account)


def poke_failed(account: AccountId) -> None:
    _write("WARNING", "no connector could be told of a command; it will see it by itself", accountId=account)


def thread_not_woken(thread_id: str) -> None:
    _write("WARNING", "a send job could not be enqueued; the sweeper makes it good", thread=_hash(thread_id))


def function_failed(name: str) -> None:
    _write("ERROR", "a function failed; the platform or its caller tries again", function=name, stack=_traceback())


def alert_changed(told: Told) -> None:
    """What monitoring/ looks for: it names these fields."""
    severity = {Change.RESOLVED: "NOTICE"}.get(told.change, str(told.severity).upper())
    _write(
        severity,
        f"an alert is {told.change}: {told.alert_type}",
        alert={
            "change": told.change,
            "type": told.alert_type,
            "severity": told.severity,
            "accountId": told.account_id,
            "alertId": told.alert_id,
            "count": told.count,
            "meaning": told.meaning,
            "whatToDo": told.what_to_do,
        },
    )


def alert_not_posted(told: Told, why: str) -> None:
    _write("WARNING", "the webhook did not take an alert; it is tried again", **_of_webhook(told, why))


def alert_post_given_up(told: Told, why: str) -> None:
    _write("ERROR", "the webhook did not take an alert; it is given up", **_of_webhook(told, why))


def _of_webhook(told: Told, why: str) -> dict[str, object]:
    return {"accountId": told.account_id, "alertId": told.alert_id, "change": told.change, "why": why}


def _hash(value: str) -> str:
    return log_hash(log_hash_key(os.environ), value)


def _traceback() -> str:
    """Where it happened and the exception's type; not its message, which may quote a document's path."""
    exception = sys.exc_info()[1]
    if exception is None:
        return ""
    frames = "".join(traceback.format_tb(exception.__traceback__))
    return f"{frames}{type(exception).__module__}.{type(exception).__qualname__}"


def _write(severity: str, message: str, **fields: object) -> None:
    sys.stdout.write(json.dumps({"severity": severity, "message": message, **fields}, default=str) + "\n")
    sys.stdout.flush()
