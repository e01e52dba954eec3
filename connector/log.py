"""The connector's log: Cloud Logging JSON lines on stdout, one named function for each noteworthy event.

Nothing secret gets in: no text, number, code, thread or message id; errors are named by their type and status, since what they
say may quote a document's path, which holds a number.
"""

import asyncio
import json
import logging
import os
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

from core.ids import AccountId, WaMessageKey, WorkerId
from core.log_hash import log_hash, log_hash_key

_SEVERITIES = {"INFO", "WARNING", "ERROR"}
_GO_PLACE = re.compile(rb"^\s+(\S+\.go:[0-9]+)")
"""A line of a Go stack trace that names a file; the others hold arguments."""
_CALLERS_FAULT = (HttpProcessingError, RequestPayloadError)


def started(worker: WorkerId, endpoint: str) -> None:
    _write("INFO", "started", "the connector has started", worker=worker, endpoint=endpoint)


def stopping() -> None:
    _write("INFO", "stopping", "asked to stop: sessions are handed over")


def stopped() -> None:
    _write("INFO", "stopped", "the connector has stopped")


def engine_started() -> None:
    _write("INFO", "engine_started", "the engine's process was started")


def engine_serves() -> None:
    _write("INFO", "engine_serves", "the engine serves")


def engine_not_started(error: Exception) -> None:
    _failure("ERROR", "engine_not_started", "the engine's program could not be run", error)


def engine_ended(status: int | None, seconds_until_restart: float) -> None:
    """A status below 0 is the signal that ended it."""
    message = "the engine's process has ended by itself; it is started again"
    _write("ERROR", "engine_ended", message, status=status, restartsInSeconds=round(seconds_until_restart, 2))


def engine_contract_refused(spoken: int, wanted: int) -> None:
    message = (
        "the engine speaks another contract: nothing is opened with it; deploy connector and engine from one image"
    )
    _write("ERROR", "engine_contract_refused", message, engineContract=spoken, connectorContract=wanted)


def contract_refused(version: int | None, served: str) -> None:
    """None: what the call named is no version."""
    message = "the functions' call was refused: it is of another contract version"
    _write("WARNING", "contract_refused", message, version=version, served=served)


def engine_silent() -> None:
    message = "the engine does not answer any more; one that this connector runs is killed and started again"
    _write("ERROR", "engine_silent", message)


def engine_killed() -> None:
    _write("WARNING", "engine_killed", "the engine did not end in time when it was asked to")


def engine_said(line: bytes) -> None:
    """The engine's own log lines hold nothing secret; a crash's words may, so of what is no log line only places get through."""
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if isinstance(said, dict):
        severity, message = str(said.pop("severity", "INFO")), str(said.pop("message", ""))
        fields = {name: value for name, value in said.items() if name not in ("time", "event")}
        _write(severity if severity in _SEVERITIES else "ERROR", "engine", message, **fields)
    elif place := _GO_PLACE.search(line):
        _write("ERROR", "engine", "the engine crashed", at=place[1].decode())


def settings_refused(complaints: str) -> None:
    _write("ERROR", "settings_refused", f"the settings are not usable: {complaints}")


def lease_claimed(account: AccountId, epoch: int) -> None:
    _write("INFO", "lease_claimed", "the account is this worker's", account, epoch=epoch)


def lease_released(account: AccountId) -> None:
    _write("INFO", "lease_released", "the account was given back", account)


def lease_lost(account: AccountId, reason: str) -> None:
    _write("WARNING", "lease_lost", "the session was fenced: no more acks, sends or writes", account, reason=reason)


def cold_locked(account: AccountId) -> None:
    message = "WhatsApp refuses cold messages (463): they wait"
    _write("WARNING", "cold_locked", message, account)


def lease_not_renewed(account: AccountId, error: Exception, seconds_left: float) -> None:
    _failure("WARNING", "lease_not_renewed", "tried again until the deadline", error, account, secondsLeft=seconds_left)


def free_leases_unknown(error: Exception) -> None:
    _failure("WARNING", "free_leases_unknown", "looking for free accounts failed; tried again", error)


def lease_not_claimed(account: AccountId, error: Exception) -> None:
    _failure("WARNING", "lease_not_claimed", "claiming failed; tried again", error, account)


def lease_not_claimable(account: AccountId, reason: str) -> None:
    _write("ERROR", "lease_not_claimable", "a lease was left alone: somebody must mend it", account, reason=reason)


def hand_over_asked(account: AccountId) -> None:
    message = "an older instance at this address owns the account, and was asked to hand it over"
    _write("INFO", "hand_over_asked", message, account)


def hand_over_not_asked(error: Exception) -> None:
    message = "an older instance at this address could not be asked for its accounts, since Firestore did not answer; tried again"
    _failure("WARNING", "hand_over_not_asked", message, error)


def succeeded(successor: WorkerId) -> None:
    message = "a newer instance at this address asks for accounts; this instance hands them over"
    _write("INFO", "succeeded", message, successor=successor)


def at_capacity(accounts: int) -> None:
    message = "this worker owns as many accounts as it may (MAX_ACCOUNTS): free ones are left to others"
    _write("WARNING", "at_capacity", message, accounts=accounts)


def status_changed(account: AccountId, status: str, reason: str) -> None:
    _write("INFO", "status_changed", "the account's status changed", account, status=status, reason=reason)


def account_not_written(account: AccountId, error: Exception) -> None:
    _failure("WARNING", "account_not_written", "tried again while the lease lives", error, account)


def alert_not_raised(account: AccountId, error: Exception) -> None:
    _failure("ERROR", "alert_not_raised", "an alert could not be written", error, account)


def command_begun(account: AccountId, kind: str) -> None:
    _write("INFO", "command_begun", "a command is carried out", account, command=kind)


def phone_pinged(account: AccountId) -> None:
    _write("INFO", "phone_pinged", "the account's phone was not seen for ten days: it was asked something", account)


def silence_probed(account: AccountId, minutes: int, *, answered: bool) -> None:
    message = "a session that is connected has been strangely silent: WhatsApp was asked something"
    _write("INFO", "silence_probed", message, account, silentMinutes=minutes, answered=answered)


def session_deaf(account: AccountId, minutes: int, resets: int) -> None:
    """`resets`: how often since something was heard."""
    message = "a session that is connected is far more silent than usual: it is opened anew"
    _write("WARNING", "session_deaf", message, account, silentMinutes=minutes, resets=resets)


def session_hears(account: AccountId) -> None:
    _write("INFO", "session_hears", "the session that was taken for deaf has heard something", account)


def backlog_delivered(account: AccountId, announced: int, lost: int, undecrypted: int) -> None:
    fields = {"announced": announced, "lost": lost, "undecrypted": undecrypted}
    _write("INFO", "backlog_delivered", "what had waited at WhatsApp stands in the ingest log", account, **fields)


def gap_found(account: AccountId, lost: int, awaited: int) -> None:
    _write("ERROR", "gap_found", "messages are missing", account, lost=lost, awaited=awaited)


def gap_closed(account: AccountId) -> None:
    _write("INFO", "gap_closed", "the messages that were missing stand in the ingest log", account)


def engine_failed(account: AccountId, call: str, error: Exception) -> None:
    _failure(
        "WARNING", "engine_failed", "the engine did not do as it was asked; tried again", error, account, call=call
    )


def row_reduced(account: AccountId, error: Exception) -> None:
    message = "Firestore refused a row for good: it is written without what it could not hold"
    _failure("ERROR", "row_reduced", message, error, account)


def wal_commit_failed(rows: int, error: Exception) -> None:
    _failure(
        "WARNING", "wal_commit_failed", "the ingest log could not be written; nothing is acknowledged", error, rows=rows
    )


def send_ended(account: AccountId, key: WaMessageKey, outcome: str, reason: str) -> None:
    _write("INFO", "send_ended", "a send has ended", account, key=_hash(key), outcome=outcome, reason=reason)


def flushed(account: AccountId, threads: int) -> None:
    _write("INFO", "flushed", "waiting threads were taken up", account, threads=threads)


def flush_failed(account: AccountId, error: Exception) -> None:
    _failure("WARNING", "flush_failed", "the functions did not accept the flush; tried again", error, account)


def crashed(what: str, error: BaseException, account: AccountId | None = None) -> None:
    """At a process edge: the frames say where, the type says what; the error's own words stay out."""
    _write("ERROR", "crashed", f"{what} failed unexpectedly", account, error=_named(error), frames=_frames(error))


def redirect_foreign_logs() -> None:
    """Libraries log through `logging` and the event loop: their words may quote ids, so only where and what kind gets through."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_ForeignFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    asyncio.get_running_loop().set_exception_handler(_loop_failure)


class _ForeignFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        severity = record.levelname if record.levelname in _SEVERITIES else "ERROR"
        error = record.exc_info[1] if record.exc_info else None
        fields: dict[str, Any] = {"logger": record.name, "at": f"{record.filename}:{record.lineno}"}
        if error is not None:
            fields |= {"error": _named(error), "frames": _frames(error)}
        if isinstance(error, _CALLERS_FAULT):
            return _line("WARNING", "malformed_http", "a caller's request was not HTTP", None, {"error": _named(error)})
        return _line(severity, "library", "a library had something to say", None, fields)


def _loop_failure(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, BaseException):
        crashed("a background task", error)
    else:
        _write("ERROR", "crashed", "the event loop reported a failure")


def _failure(
    severity: str, event: str, message: str, error: Exception, account: AccountId | None = None, **fields: Any
) -> None:
    _write(severity, event, message, account, error=_named(error), **fields)


def _hash(value: str) -> str:
    return log_hash(log_hash_key(os.environ), value)


def _named(error: BaseException) -> str:
    code = getattr(error, "grpc_status_code", None) or getattr(error, "status", None)
    name = type(error).__name__
    return f"{name} {getattr(code, 'name', code)}" if code is not None else name


def _frames(error: BaseException) -> list[str]:
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            frames += [_named(inner), *_frames(inner)]
    return frames


def _write(severity: str, event: str, message: str, account: AccountId | None = None, **fields: Any) -> None:
    sys.stdout.write(_line(severity, event, message, account, fields) + "\n")
    sys.stdout.flush()


def _line(severity: str, event: str, message: str, account: AccountId | None, fields: dict[str, Any]) -> str:
    entry = {"severity": severity, "time": datetime.now(UTC).isoformat(), "event": event, "message": message}
    if account is not None:
        entry["accountId"] = account
    return json.dumps(entry | fields, default=str)
