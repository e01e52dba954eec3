"""The catalogue of what can go wrong: each code, what it means and what to do. docs/errors.md repeats it, and a test holds both together."""

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """Stands at the front of lastError, error, lastProcessError and of every refusal; alerts carry it as their type."""

    INVALID_REQUEST = "invalid_request"
    WRONG_REQUEST_ID = "wrong_request_id"
    THREAD_UNKNOWN = "thread_unknown"
    ACCOUNT_UNKNOWN = "account_unknown"
    ACCOUNT_EXISTS = "account_exists"
    CHAT_NOT_SUPPORTED = "chat_not_supported"
    NOT_ON_WHATSAPP = "not_on_whatsapp"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    OUTCOME_UNKNOWN = "outcome_unknown"
    NOT_CONNECTED = "not_connected"
    ENDPOINT_NOT_ALLOWED = "endpoint_not_allowed"
    CONNECTOR_REFUSED = "connector_refused"
    CONNECTOR_UNREACHABLE = "connector_unreachable"
    INVALID_EVENT = "invalid_event"
    EVENT_TYPE_UNKNOWN = "event_type_unknown"
    MESSAGE_MISSING = "message_missing"
    PROCESSING_FAILED = "processing_failed"
    OTHER_NUMBER = "other_number"
    LOGGED_OUT = "logged_out"
    STORE_BEHIND = "store_behind"
    REPLACED = "replaced"
    BANNED = "banned"
    OUTDATED = "outdated"
    QUARANTINED = "quarantined"
    PAIRING_EXPIRED = "pairing_expired"
    PAIRING_FAILED = "pairing_failed"
    PASSKEY_NOT_WANTED = "passkey_not_wanted"
    PASSKEY_REFUSED = "passkey_refused"
    ENGINE_FAILED = "engine_failed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    NOT_CANCELLABLE = "not_cancellable"
    NOT_UNCERTAIN = "not_uncertain"
    CONTRACT_UNSUPPORTED = "contract_unsupported"
    PACED = "paced"
    COLD_LIMIT = "cold_limit"
    COLD_LOCKED = "cold_locked"
    LOOKUP_LIMIT = "lookup_limit"
    DIAGNOSED = "diagnosed"


class Severity(StrEnum):
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of the catalogue. `alert` is the alert's severity where an operator must act, else None."""

    seen_in: str
    meaning: str
    what_to_do: str
    alert: Severity | None = None


_OUTBOX = "outbox `lastError`, message `error`"
_WAITING = "outbox `lastError`"
"""Of what only waits: a message's own `error` is set when it has failed."""
_WAL = "ingest `lastProcessError`"
_ACCOUNT = "account `lastError`"
_CALLABLE = "callables"
_CONNECTOR = "connector's HTTP answers"

CATALOGUE: dict[ErrorCode, Entry] = {
    ErrorCode.INVALID_REQUEST: Entry(
        seen_in=f"{_OUTBOX}; {_CALLABLE}; {_CONNECTOR}",
        meaning="A field is missing, of the wrong type, too long or malformed; the text names it.",
        what_to_do="Correct the writer of the document that the alert names: the rules refuse such documents, so it holds a server key. Write a new request.",
        alert=Severity.WARNING,
    ),
    ErrorCode.WRONG_REQUEST_ID: Entry(
        seen_in=_OUTBOX,
        meaning="The document's id does not follow from its fields (docs/clients.md has the formula), or its own fields contradict each other.",
        what_to_do="Compute the id as docs/clients.md says and write a new request; nothing was sent.",
        alert=Severity.WARNING,
    ),
    ErrorCode.THREAD_UNKNOWN: Entry(
        seen_in=_OUTBOX,
        meaning="The request names a thread that does not exist.",
        what_to_do="Create the thread with threadlineStartConversation, or wait for the contact to write; then write a new request.",
        alert=Severity.WARNING,
    ),
    ErrorCode.ACCOUNT_UNKNOWN: Entry(
        seen_in=f"{_OUTBOX}; {_CALLABLE}",
        meaning="There is no account (no lease document) of this id.",
        what_to_do="Check the accountId, or create the account with threadlineCreateAccount.",
        alert=Severity.ERROR,
    ),
    ErrorCode.ACCOUNT_EXISTS: Entry(
        seen_in=_CALLABLE,
        meaning="The accountId or requestKey of threadlineCreateAccount belongs to an account with another name.",
        what_to_do="Give another accountId or requestKey, or leave both out. With the account's own name, the call answers the existing account.",
    ),
    ErrorCode.CHAT_NOT_SUPPORTED: Entry(
        seen_in=f"{_OUTBOX}; {_CONNECTOR}",
        meaning="The chat is of a kind that messages cannot be sent to yet (a group).",
        what_to_do="Answer in a direct chat.",
    ),
    ErrorCode.NOT_ON_WHATSAPP: Entry(
        seen_in=f"{_OUTBOX}; {_CALLABLE}",
        meaning="The number has no WhatsApp account.",
        what_to_do="Check the number with the customer; nothing was sent.",
    ),
    ErrorCode.REJECTED: Entry(
        seen_in=_OUTBOX,
        meaning="WhatsApp refused the message; the text gives its code. 463 is no such end: the message waits (cold_locked).",
        what_to_do="Read the code; do not send the same again at once. Nothing reached the contact.",
    ),
    ErrorCode.NOT_SENT: Entry(
        seen_in=_OUTBOX,
        meaning="The message provably did not leave. While the status is queued it is tried again; with failed, every attempt ended so.",
        what_to_do="With failed: look at the account's health, then send it as a new message.",
        alert=Severity.WARNING,
    ),
    ErrorCode.OUTCOME_UNKNOWN: Entry(
        seen_in=_OUTBOX,
        meaning="The message may have reached WhatsApp, but no answer came. It is tried again under the same id; with failed, the limit of attempts or of its age was reached. Later proof still makes it sent.",
        what_to_do="With failed: look at the phone whether the message stands there, then decide with threadlineResolveRequest: resend, markSent or markFailed.",
        alert=Severity.ERROR,
    ),
    ErrorCode.NOT_CONNECTED: Entry(
        seen_in=f"{_WAITING}; {_CALLABLE}; {_CONNECTOR}",
        meaning="The account has no open session just now. Queued messages wait and burn no attempt.",
        what_to_do="See the account's status: resume it, pair it, or wait until it reconnects.",
    ),
    ErrorCode.ENDPOINT_NOT_ALLOWED: Entry(
        seen_in=f"{_WAITING}; {_CALLABLE}",
        meaning="The account's lease names a connector address that is not in CONNECTOR_ENDPOINTS, so no text and no token went there. The message waits.",
        what_to_do="Add the address to CONNECTOR_ENDPOINTS and deploy the functions, or find out who wrote the lease.",
        alert=Severity.ERROR,
    ),
    ErrorCode.CONNECTOR_REFUSED: Entry(
        seen_in=f"{_WAITING}; {_CALLABLE}",
        meaning="The connector refused the functions' call (its answer's status is given): its token or its settings do not fit. The message waits and burns no attempt.",
        what_to_do="Compare FUNCTIONS_SERVICE_ACCOUNT and PUBLIC_ENDPOINT of the connector with the functions' settings, and the two versions that are deployed. A 401 or 403 without a code is Cloud Run's own answer: the functions' service account needs roles/run.invoker on the connector's service.",
        alert=Severity.ERROR,
    ),
    ErrorCode.CONNECTOR_UNREACHABLE: Entry(
        seen_in=f"{_WAITING}; {_CALLABLE}",
        meaning="The account's connector could not be reached, or gave a callable no answer. A message waits and burns no attempt: it is tried again by itself, and sent as soon as another connector has taken the account over.",
        what_to_do="Nothing where a connector has just ended. If it stays, look whether the connector's services run and the functions may call them; then, of a callable, try again.",
    ),
    ErrorCode.INVALID_EVENT: Entry(
        seen_in=_WAL,
        meaning="A WAL row lacks a field, or holds one of the wrong type; the text names it. The row is kept for a year.",
        what_to_do="Correct its writer; to take the row up again, correct it and set processed to false.",
        alert=Severity.ERROR,
    ),
    ErrorCode.EVENT_TYPE_UNKNOWN: Entry(
        seen_in=_WAL,
        meaning="A WAL row is of a type, or a message of a kind, that these functions do not know: the connector is newer. The row is kept for a year.",
        what_to_do="Deploy the functions of the connector's version; then set processed to false.",
        alert=Severity.WARNING,
    ),
    ErrorCode.MESSAGE_MISSING: Entry(
        seen_in=_WAL,
        meaning="A receipt's message did not appear within 24 hours. The row is kept.",
        what_to_do="Nothing, if the message was sent from the phone before the account was paired here.",
    ),
    ErrorCode.PROCESSING_FAILED: Entry(
        seen_in=_WAL,
        meaning="An attempt to process the row ended with an error in the functions. The functions try again by themselves; processAttempts counts the attempts.",
        what_to_do="Nothing, if a later attempt succeeds. If the attempts go on, read the functions' log for the error.",
    ),
    ErrorCode.OTHER_NUMBER: Entry(
        seen_in=_ACCOUNT,
        meaning="The account was paired with another number than before; the new link was refused and removed.",
        what_to_do="Pair with the account's own phone, or create another account for the other number.",
        alert=Severity.ERROR,
    ),
    ErrorCode.LOGGED_OUT: Entry(
        seen_in=_ACCOUNT,
        meaning="The linked device was removed, on the phone or by a super-admin.",
        what_to_do="Pair the account again.",
        alert=Severity.ERROR,
    ),
    ErrorCode.STORE_BEHIND: Entry(
        seen_in=_ACCOUNT,
        meaning="The session store is older than the session was: a backup was restored, or the database lost its latest commits. Its keys were used since, so they were removed.",
        what_to_do="Remove the old device on the phone (Linked devices), then pair again with the same phone. Look at who restored the database, and docs/backup.md.",
        alert=Severity.ERROR,
    ),
    ErrorCode.REPLACED: Entry(
        seen_in=_ACCOUNT,
        meaning="The same session was opened somewhere else.",
        what_to_do="Find the other process that holds this session; then set desiredState to connected again.",
        alert=Severity.ERROR,
    ),
    ErrorCode.BANNED: Entry(
        seen_in=_ACCOUNT,
        meaning="WhatsApp has banned the number for a time.",
        what_to_do="Read the reason on the phone; do not pair it elsewhere.",
        alert=Severity.ERROR,
    ),
    ErrorCode.OUTDATED: Entry(
        seen_in=_ACCOUNT,
        meaning="WhatsApp refuses the newest known version of WhatsApp Web, or the one that ENGINE_WEB_VERSION names.",
        what_to_do="Deploy a connector with a newer engine. Where ENGINE_WEB_VERSION is set, remove it or name a newer version.",
        alert=Severity.ERROR,
    ),
    ErrorCode.QUARANTINED: Entry(
        seen_in=_ACCOUNT,
        meaning="Handling the account's events has crashed the engine repeatedly. To protect the other accounts, it is not connected for up to an hour, or until somebody asks for it. Nothing is lost: WhatsApp keeps what comes.",
        what_to_do="Read the connector's log for the panic that it tells of. Deploy a newer version, which may not crash there; then set desiredState to connected again.",
        alert=Severity.ERROR,
    ),
    ErrorCode.PAIRING_EXPIRED: Entry(
        seen_in=_ACCOUNT,
        meaning="Nobody used the QR or phone code in time; it was erased.",
        what_to_do="Start pairing again.",
    ),
    ErrorCode.PAIRING_FAILED: Entry(
        seen_in=_ACCOUNT,
        meaning="WhatsApp refused the pairing; the text says why.",
        what_to_do="Start pairing again; by QR where it was by code.",
    ),
    ErrorCode.PASSKEY_NOT_WANTED: Entry(
        seen_in=f"{_CALLABLE}; {_CONNECTOR}",
        meaning="No pairing of the account waits for a passkey's answer: none was asked for, it was answered already, or its time is over. The text says which.",
        what_to_do="Look at private/state: answer the request that is shown there, or start pairing again.",
    ),
    ErrorCode.PASSKEY_REFUSED: Entry(
        seen_in=f"{_CALLABLE}; {_CONNECTOR}",
        meaning="WhatsApp refused the passkey's answer. The pairing has ended.",
        what_to_do="Start pairing again, and sign with the passkey of the account's own number. If it fails again, remove the passkey on the phone (docs/sessions.md).",
    ),
    ErrorCode.ENGINE_FAILED: Entry(
        seen_in=f"{_ACCOUNT}; {_CONNECTOR}",
        meaning="The engine process did not do as it was asked; it is tried again by itself.",
        what_to_do="If it stays, read the connector's log.",
    ),
    ErrorCode.UNAUTHENTICATED: Entry(
        seen_in=f"{_CALLABLE}; {_CONNECTOR}; flush",
        meaning="No token, or one that is expired, forged or for another audience.",
        what_to_do="Sign in; for services: call with an identity token for this address.",
    ),
    ErrorCode.FORBIDDEN: Entry(
        seen_in=f"{_CALLABLE}; {_CONNECTOR}; flush",
        meaning="The token is good, but its owner may not do this.",
        what_to_do="Ask a super-admin; for services: call with the service account that the settings name.",
    ),
    ErrorCode.NOT_FOUND: Entry(
        seen_in=f"{_CALLABLE}; {_CONNECTOR}",
        meaning="No such address, account or request here.",
        what_to_do="Check the path, or the requestId.",
    ),
    ErrorCode.EXPIRED: Entry(
        seen_in=_OUTBOX,
        meaning="The message waited longer than its account allows (queueLimitS of the account's document; 24 hours unless set) and did not leave: it would have come too late.",
        what_to_do="See what held it up (the connection, the account's pace, a refusal); what still holds is written as a new message.",
        alert=Severity.WARNING,
    ),
    ErrorCode.CANCELLED: Entry(
        seen_in=_OUTBOX,
        meaning="Its creator took the message back before a send job had claimed it, or it was to be sent again and the first one turned out to be sent; it did not leave.",
        what_to_do="Nothing.",
    ),
    ErrorCode.NOT_CANCELLABLE: Entry(
        seen_in=_CALLABLE,
        meaning="The message is being sent, has ended, or an attempt was made and its end is not known (a super-admin can decide about it): only one that is queued can be taken back. The text says which.",
        what_to_do="See the request's status.",
    ),
    ErrorCode.NOT_UNCERTAIN: Entry(
        seen_in=_CALLABLE,
        meaning="There is nothing to decide: what became of the message is known, an attempt is under way, it was decided otherwise before, or it is still tried under its own id and so not resent. The text says which.",
        what_to_do="Call threadlineResolveRequest without a decision to see what is known; while an attempt is under way, wait half a minute; resend only what has failed.",
    ),
    ErrorCode.CONTRACT_UNSUPPORTED: Entry(
        seen_in=f"{_WAITING} (with connector_refused); {_CONNECTOR}; flush",
        meaning="Functions and connector are of versions that do not fit; the HTTP answer's text says which side is the older, and both sides' logs name the call's version and those that are served. Nothing is lost: what waits is tried again.",
        what_to_do="Deploy the older side, in the order of docs/rollout.md.",
    ),
    ErrorCode.PACED: Entry(
        seen_in=_WAITING,
        meaning="The message waits for its turn: the account has sent as fast as its limits allow (docs/pacing.md).",
        what_to_do="Nothing: it is sent by itself.",
    ),
    ErrorCode.COLD_LIMIT: Entry(
        seen_in=_WAITING,
        meaning="The contact has not written within 24 hours, and the account has sent as many such messages today as its limits allow (docs/pacing.md).",
        what_to_do="Nothing: it is sent tomorrow, or at once when the contact writes and is answered.",
    ),
    ErrorCode.COLD_LOCKED: Entry(
        seen_in=f"{_WAITING}; {_ACCOUNT.replace('lastError', 'degradedReason')}",
        meaning="WhatsApp refuses the account's messages to people who have not written to it (error 463). They wait; answers go out.",
        what_to_do="Write to fewer people who do not know the number. The messages are tried again by themselves when the time in coldLockedUntil is over; do not try by hand before.",
    ),
    ErrorCode.LOOKUP_LIMIT: Entry(
        seen_in=_CALLABLE,
        meaning="The account or the person has reached the limit of number look-ups: an account 20 at once, then one every 6 minutes; a person 10 at once, then one every 12 minutes. WhatsApp bans numbers that look up many others.",
        what_to_do="Wait as long as the text says. A number that was looked up today or has a conversation needs no look-up.",
    ),
    ErrorCode.DIAGNOSED: Entry(
        seen_in=_WAITING,
        meaning="The doctor's own request (account threadline-doctor) has reached its send job. It was never meant to be sent.",
        what_to_do="Nothing: the doctor deletes it.",
    ),
}


def code_of(error: object) -> ErrorCode | None:
    """The code at the front of an error as documents hold it, or None where there is none."""
    code = error.partition(":")[0] if isinstance(error, str) else ""
    return ErrorCode(code) if code in list(ErrorCode) else None


def described(code: ErrorCode, detail: str) -> str:
    """An error as documents hold it: its code, then a sentence. Details never quote a message's text, a number or a code."""
    return f"{code}: {detail}"
