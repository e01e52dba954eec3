"""The catalogue of alerts: how grave each type is, what it means, what to do, and when it is over. docs/alerts.md repeats it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.errors import CATALOGUE, ErrorCode, Severity


class Condition(StrEnum):
    """What an operator must act on although no document holds an error: it is seen by looking at many of them.

    Each has a name, an entry below, and `Telling.alert` or the sweeper where it begins.
    """

    NO_OWNER = "no_owner"
    LEASE_FLAPPING = "lease_flapping"
    STUCK_OUTBOX = "stuck_outbox"
    BACKLOG_GROWING = "backlog_growing"
    DEAF = "deaf"
    GAP = "gap"
    COLD_LOCKED = "cold_locked"
    UNSUPPORTED_KIND = "unsupported_kind"
    PHONE_NOT_SEEN = "phone_not_seen"


AlertType = ErrorCode | Condition


class End(StrEnum):
    """By what an alert is over. Whoever brings it about closes the alert at once where it can; the sweeper looks each minute."""

    CONNECTED = "connected"
    SENT = "sent"
    DECIDED = "decided"
    REPLAYED = "replayed"
    QUIET = "quiet"
    OVER = "over"
    HEALED = "healed"


ENDS: Mapping[End, str] = {
    End.CONNECTED: "When the account is connected again.",
    End.SENT: "When a message of the account is sent.",
    End.DECIDED: "When a super-admin decides with threadlineResolveRequest, or when later proof makes the message sent.",
    End.REPLAYED: "When such a row is taken up without an error, after it was opened again.",
    End.QUIET: "After 24 hours without another: it tells of messages that have ended, and nothing in the data shows that somebody looked.",
    End.OVER: "When the sweeper sees that it is over.",
    End.HEALED: "When the account's degradedReason does not name it any more.",
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    severity: Severity
    meaning: str
    what_to_do: str
    end: End


def _of_error(code: ErrorCode, end: End) -> Entry:
    """An error's words stand in its own catalogue."""
    error = CATALOGUE[code]
    if error.alert is None:
        raise ValueError(f"{code} is no cause for an alert")
    return Entry(severity=error.alert, meaning=error.meaning, what_to_do=error.what_to_do, end=end)


_ERRORS: Mapping[ErrorCode, End] = {
    ErrorCode.LOGGED_OUT: End.CONNECTED,
    ErrorCode.STORE_BEHIND: End.CONNECTED,
    ErrorCode.REPLACED: End.CONNECTED,
    ErrorCode.BANNED: End.CONNECTED,
    ErrorCode.OUTDATED: End.CONNECTED,
    ErrorCode.QUARANTINED: End.CONNECTED,
    ErrorCode.OTHER_NUMBER: End.CONNECTED,
    ErrorCode.ACCOUNT_UNKNOWN: End.SENT,
    ErrorCode.ENDPOINT_NOT_ALLOWED: End.SENT,
    ErrorCode.CONNECTOR_REFUSED: End.SENT,
    ErrorCode.OUTCOME_UNKNOWN: End.DECIDED,
    ErrorCode.INVALID_EVENT: End.REPLAYED,
    ErrorCode.EVENT_TYPE_UNKNOWN: End.REPLAYED,
    ErrorCode.INVALID_REQUEST: End.QUIET,
    ErrorCode.WRONG_REQUEST_ID: End.QUIET,
    ErrorCode.THREAD_UNKNOWN: End.QUIET,
    ErrorCode.NOT_SENT: End.QUIET,
    ErrorCode.EXPIRED: End.QUIET,
}

ALERTS: Mapping[AlertType, Entry] = {code: _of_error(code, end) for code, end in _ERRORS.items()} | {
    Condition.NO_OWNER: Entry(
        severity=Severity.ERROR,
        meaning="A connector should hold the account, and none has for two minutes. Without an account: this is so of more than ten.",
        what_to_do="Look whether the connector's services run and reach Firestore. Where they do: the connector's log says why it does not claim the account (its lease's epoch, or no account document).",
        end=End.OVER,
    ),
    Condition.LEASE_FLAPPING: Entry(
        severity=Severity.ERROR,
        meaning="The account has changed hands five times in ten minutes. Each time its messages wait for a moment.",
        what_to_do="Look in the connectors' logs for what ends their terms: restarts, too little CPU or memory, Firestore out of reach, clocks that differ.",
        end=End.OVER,
    ),
    Condition.STUCK_OUTBOX: Entry(
        severity=Severity.ERROR,
        meaning="The account is connected, and yet a message has waited for ten minutes that no send job takes up, or that is given back each time: the functions cannot reach the connector, or it says that the account is not its own.",
        what_to_do="Look at the send function's log. Attempts that end as unreachable or not_owner: whether the functions may call the address that the account's lease names, and who answers there. None at all: whether the queue in Cloud Tasks is paused, refused or full.",
        end=End.OVER,
    ),
    Condition.BACKLOG_GROWING: Entry(
        severity=Severity.ERROR,
        meaning="Received events of the account have waited for ten minutes: more come in than threadlineOnIngest and the sweeper take up, or their chat fails each time.",
        what_to_do="Look at threadlineOnIngest's log and at Firestore's limits. Nothing is lost: the rows stand in the ingest log.",
        end=End.OVER,
    ),
    Condition.GAP: Entry(
        severity=Severity.ERROR,
        meaning="Messages to the account are missing: some could not be decrypted, or, with ANNOUNCED_GAPS=on, WhatsApp announced more than it handed over. The account's phone is asked for them.",
        what_to_do="Switch the account's phone on and open WhatsApp there: it hands over what it has. Read what does not come within a day on the phone, in the time from syncGapStartAt to syncGapEndAt; then close the gap: `python -m connector.admin close-gap`, or the callable threadlineCloseGap.",
        end=End.HEALED,
    ),
    Condition.UNSUPPORTED_KIND: Entry(
        severity=Severity.WARNING,
        meaning='A contact sent a message of a kind that this version does not know. It is shown as "Unsupported message"; its row and its wire bytes are kept for a year.',
        what_to_do="Read the message on the phone. Deploy a newer version, which may know the kind. Nothing is to be closed: the alert ends by itself.",
        end=End.QUIET,
    ),
    Condition.DEAF: Entry(
        severity=Severity.WARNING,
        meaning="The account is connected, and heard nothing for far longer than is usual at this hour of the week. Its session was opened anew.",
        what_to_do="Write to the number from another phone. Where that comes, it is only quiet: a holiday. Else look whether the account's phone is online, then pair it again.",
        end=End.HEALED,
    ),
    Condition.PHONE_NOT_SEEN: Entry(
        severity=Severity.WARNING,
        meaning="The account's phone was not seen for twelve days. WhatsApp unlinks all devices of a phone that was not seen for 14 days; the phone was pinged each day since the tenth.",
        what_to_do="Switch the account's phone on, connect it to the internet and open WhatsApp there. The alert ends when the phone is seen.",
        end=End.HEALED,
    ),
    Condition.COLD_LOCKED: Entry(
        severity=Severity.WARNING,
        meaning=CATALOGUE[ErrorCode.COLD_LOCKED].meaning,
        what_to_do=CATALOGUE[ErrorCode.COLD_LOCKED].what_to_do,
        end=End.HEALED,
    ),
}

MOST_WITHOUT_OWNER = 10
"""Of accounts that are told of one by one: when all connectors are down, one alert says so."""


def known(value: object) -> AlertType | None:
    """The type of a document's alert, or None for one that these functions do not know."""
    return next((each for each in ALERTS if each == value), None) if isinstance(value, str) else None


def ending(*ends: End) -> frozenset[AlertType]:
    """The types that are over by one of these."""
    return frozenset(each for each, entry in ALERTS.items() if entry.end in ends)
