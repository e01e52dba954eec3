"""How an account is, in words that a person can act on: from its document and its lease."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from connector.admin.times import ago, clock, span
from core.account import DesiredState, Lease, Status
from core.errors import CATALOGUE, ErrorCode, code_of
from core.timing import Timing

PROGRAM = "python -m connector.admin"

_REASONS = {
    "disconnected": "the connection to WhatsApp was lost",
    "keepalive_timeout": "WhatsApp did not answer for half a minute",
    "handed_over": "its connector stopped, and another takes the account",
    "engine_failed": "the engine's process ended or did not answer",
    "connect_failed": "WhatsApp was not reached",
    "handshake_failed": "what answered was not WhatsApp",
    "client_outdated": "WhatsApp refused the version of WhatsApp Web, and the newest one is fetched",
    "store_failed": "the session store did not take an event",
}
"""disconnectReason in words; docs/sessions.md has them all. They pass by themselves."""
_CODED_REASONS = {
    "stream_error_": "WhatsApp closed the connection",
    "connect_failure_": "WhatsApp refused the login for now",
}
_ADVICE: Mapping[ErrorCode, Callable[[str], str]] = {
    ErrorCode.LOGGED_OUT: lambda account: f"`{PROGRAM} pair {account}`",
    ErrorCode.STORE_BEHIND: lambda account: f"`{PROGRAM} pair {account}`, after the old device is removed on the phone",
    ErrorCode.PAIRING_EXPIRED: lambda account: f"`{PROGRAM} pair {account}`",
    ErrorCode.PAIRING_FAILED: lambda account: f"`{PROGRAM} pair {account}`",
    ErrorCode.OTHER_NUMBER: lambda account: f"`{PROGRAM} pair {account}`",
    ErrorCode.REPLACED: lambda account: f"`{PROGRAM} resume {account}`",
    ErrorCode.BANNED: lambda account: f"when the ban is over, `{PROGRAM} resume {account}`",
    ErrorCode.OUTCOME_UNKNOWN: lambda account: f"`{PROGRAM} alerts {account}` names the request to resolve",
    ErrorCode.INVALID_EVENT: lambda account: f"`{PROGRAM} replay --account {account} --all-of-code invalid_event`",
    ErrorCode.EVENT_TYPE_UNKNOWN: lambda account: (
        f"`{PROGRAM} replay --account {account} --all-of-code event_type_unknown`"
    ),
    ErrorCode.OUTDATED: lambda account: f"then `{PROGRAM} resume {account}`",
}
"""The command that does what the catalogue says."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """`summary` is empty where all is well."""

    summary: str = ""
    what_to_do: str = ""

    @property
    def sentence(self) -> str:
        return f"{self.summary}. To do: {self.what_to_do}" if self.what_to_do else self.summary


def condition(
    account: str, document: Mapping[str, object], lease: Lease | None, now: datetime, timing: Timing
) -> Condition:
    """The first of these is told: what keeps it from being owned, what a person must do, what passes by itself."""
    return (
        _unowned(account, document, lease, now, timing)
        or _error(account, document)
        or _between_owners(lease, now)
        or _status(account, document, now, timing)
        or _command(lease)
        or Condition()
    )


def what_to_do(account: str, code: ErrorCode) -> str:
    """The catalogue's advice, with the command that does it."""
    advice = CATALOGUE[code].what_to_do
    return f"{advice} {_capital(_ADVICE[code](account))}." if code in _ADVICE else advice


def reason_in_words(reason: object) -> str:
    if not isinstance(reason, str) or not reason:
        return ""
    for start, words in _CODED_REASONS.items():
        if reason.startswith(start):
            return f"{words} (code {reason.removeprefix(start)})"
    return _REASONS.get(reason, reason)


def _unowned(
    account: str, document: Mapping[str, object], lease: Lease | None, now: datetime, timing: Timing
) -> Condition | None:
    if lease is None:
        return Condition(
            summary="it has no lease document, so no connector can own it",
            what_to_do="create the account anew with threadlineCreateAccount",
        )
    is_paused = document.get("desiredState") == DesiredState.PAUSED
    if is_paused == lease.wanted:
        return Condition(
            summary="the account and its lease do not say the same about pausing",
            what_to_do=f"`{PROGRAM} pause {account}` or `{PROGRAM} resume {account}`",
        )
    if is_paused:
        return Condition(summary="paused; its messages wait", what_to_do=f"`{PROGRAM} resume {account}`")
    if not lease.has_next_epoch():
        return Condition(
            summary="its lease's epoch is none, so no connector claims it",
            what_to_do="set epoch to a number above every one it had",
        )
    unowned_s = 0.0 if lease.is_held(now) else (now - lease.free_since()).total_seconds()
    if unowned_s < timing.lease_ttl_s:
        return None
    return Condition(
        summary=f"no connector has owned it for {span(unowned_s)}",
        what_to_do="look whether the connectors run, and at their log",
    )


def _between_owners(lease: Lease | None, now: datetime) -> Condition | None:
    if lease is None or lease.is_held(now):
        return None
    return Condition(summary="no connector owns it just now; one takes it within seconds")


def _error(account: str, document: Mapping[str, object]) -> Condition | None:
    code = code_of(document.get("lastError"))
    if code is None:
        return None
    return Condition(summary=str(document["lastError"]), what_to_do=what_to_do(account, code))


def _status(account: str, document: Mapping[str, object], now: datetime, timing: Timing) -> Condition | None:
    status, seen = document.get("status"), document.get("lastSeenAt")
    if status == Status.NEEDS_QR:
        return Condition(summary="not paired", what_to_do=f"`{PROGRAM} pair {account}`")
    if status == Status.QR_READY:
        return Condition(summary="a pairing code waits for its phone", what_to_do=f"`{PROGRAM} pair {account}`")
    if isinstance(seen, datetime) and now - seen > timedelta(seconds=4 * timing.heartbeat_s):
        return Condition(
            summary=f"its owner last wrote {ago(seen, now)}",
            what_to_do="read its connector's log: it is frozen, or does not reach Firestore",
        )
    if status == Status.CONNECTED:
        return _degraded(document)
    words = reason_in_words(document.get("disconnectReason"))
    passing = {
        Status.CONNECTING: "connecting",
        Status.RECONNECTING: f"{words or 'the connection was lost'}; it connects again by itself",
        Status.DISCONNECTED: words or "disconnected",
    }
    if status in list(Status) and Status(str(status)) in passing:
        return Condition(summary=passing[Status(str(status))])
    return Condition(summary=words or f"its status is {status}", what_to_do="read its connector's log")


def _degraded(document: Mapping[str, object]) -> Condition | None:
    if document.get("degraded") is not True:
        return None
    reason, since, until = (document.get(name) for name in ("degradedReason", "syncGapStartAt", "syncGapEndAt"))
    summary = f"degraded: {reason}" if isinstance(reason, str) and reason else "degraded"
    if isinstance(since, datetime):
        summary += f" (a gap from {clock(since)} to {clock(until) if isinstance(until, datetime) else 'now'})"
    code = code_of(reason)
    return Condition(summary=summary, what_to_do=CATALOGUE[code].what_to_do if code else "")


def _command(lease: Lease | None) -> Condition | None:
    """Of an account that is well otherwise."""
    if lease is None or lease.command is None:
        return None
    return Condition(summary=f"{lease.command.kind} waits for its owner")


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
