"""Compares what stands at the end with what was asked and with the network's record. Plain values: no I/O, no product logic.

Findings name chats and messages by their place in the round, so that no number and no text is printed.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from core.alert import alert_id
from core.errors import ErrorCode, code_of
from core.ids import RequestId
from local.faults.cast import Cast, Chat, Inbound, Request
from local.faults.record import Document, Record
from local.faults.verdict import Broken, Finding, Verdict
from local.network.contacts import InboxMessage

_MAX_ATTEMPTS = 8
_SENT = ("sent", "delivered", "read")
_PROMPT = timedelta(minutes=1)
"""A reply that left within it may have its place in the list of threads where it was written, as docs/clients.md says."""
_BURNS_NO_ATTEMPT = ("not_connected", "not_owner", "not_before", "")


def judge(cast: Cast, record: Record, *, chaos: bool = False) -> Verdict:
    """`chaos`: workers are killed and frozen. A request may then end as `outcome_unknown`, with its alert, where its contact has
    nothing; and alerts about the condition of accounts and leases, which no error is the cause of, are true."""
    uncertain = {r.request_id for r in cast.all_requests() if chaos and _is_honestly_uncertain(r, record)}
    findings = [
        *_undelivered(cast, record),
        *_requests(cast, record, uncertain),
        *_inbound(cast, record),
        *_unasked(cast, record, chaos=chaos),
        *(finding for chat in cast.chats for finding in _frames(cast, chat, record)),
        *(finding for chat in cast.chats for finding in _arrivals(cast, chat, record)),
        *(finding for chat in cast.chats for finding in _departures(cast, chat, record)),
        *(finding for chat in cast.chats for finding in _thread(cast, chat, record)),
    ]
    return Verdict(findings=findings, adjacent_repeats=_adjacent_repeats(cast, record), uncertain=len(uncertain))


def _is_honestly_uncertain(request: Request, record: Record) -> bool:
    """It says so, with an alert, after all its attempts; and nobody has said what came of one: neither its contact nor a connector."""
    stored = record.outbox.get(request.request_id)
    if stored is None or (stored.fields.get("status"), stored.fields.get("attempts")) != ("failed", _MAX_ATTEMPTS):
        return False
    return (
        code_of(stored.fields.get("lastError")) is ErrorCode.OUTCOME_UNKNOWN
        and alert_id(ErrorCode.OUTCOME_UNKNOWN, request.request_id) in record.alerts
        and not {"sent", "rejected"} & set(record.posts.get(request.key, ()))
        and not _shown(request, record)
    )


def _shown(request: Request, record: Record) -> list[InboxMessage]:
    return [message for message in record.inboxes[request.chat.contact] if message.text == request.text]


def _undelivered(cast: Cast, record: Record) -> Iterator[Finding]:
    if record.unacknowledged:
        yield Finding(broken=Broken.STUCK, where="the network", what=f"{record.unacknowledged} events not taken over")
    for row in record.rows.values():
        if row.fields.get("processed") is not True:
            yield Finding(
                broken=Broken.STUCK,
                where=_chat_of(cast, str(row.fields.get("chatId"))),
                what=f"a row of type {row.fields.get('eventType')} is not processed",
            )
        elif row.fields.get("lastProcessError") is not None or row.fields.get("expireAt") is None:
            yield Finding(
                broken=Broken.MISCOUNTED,
                where=_chat_of(cast, str(row.fields.get("chatId"))),
                what="a processed row has an error, or no expireAt",
            )


def _requests(cast: Cast, record: Record, uncertain: Collection[RequestId]) -> Iterator[Finding]:
    for request in cast.all_requests():
        if request.request_id in uncertain:
            continue
        for broken, what in _request(request, record):
            yield Finding(broken=broken, where=f"request {request.chat.index}-{request.place}", what=what)


def _request(request: Request, record: Record) -> Iterator[tuple[Broken, str]]:
    stored = record.outbox.get(request.request_id)
    message = record.messages.get(request.message_id)
    if stored is None:
        yield Broken.LOST, "its document is gone"
        return
    status, attempts = stored.fields.get("status"), stored.fields.get("attempts") or 0
    shown = _shown(request, record)
    if len(shown) > 1:
        yield Broken.DUPLICATED, f"the contact has it {len(shown)} times"
    if status not in ("sent", "failed"):
        yield Broken.STUCK, f"it is {status} after {attempts} attempts"
        return
    if not shown or message is None or message.fields.get("text") != request.text:
        yield Broken.LOST, f"it is {status}, but the contact has it not, or no message of its text stands"
        return
    expected = "read" if request.chat.reads else "delivered"
    if message.fields.get("delivery") != expected:
        yield Broken.LOST, f"its message is {message.fields.get('delivery')}, the contact's receipts said {expected}"
    if status != "sent" or stored.fields.get("lastError") or stored.fields.get("claimUntil"):
        yield Broken.MISCOUNTED, f"it is {status}, with an error or a claim, although the contact has it"
    burnt = sum(outcome not in _BURNS_NO_ATTEMPT for outcome in record.posts.get(request.key, ()))
    if not max(burnt, 1) <= attempts <= _MAX_ATTEMPTS:
        yield Broken.MISCOUNTED, f"it says {attempts} attempts, the connector was asked {burnt} times"


def _inbound(cast: Cast, record: Record) -> Iterator[Finding]:
    written = {(w.contact, w.whatsapp_id) for w in record.written}
    for inbound in cast.all_inbound():
        where = f"inbound {inbound.chat.index}-{inbound.place}"
        if (inbound.chat.contact, inbound.whatsapp_id) not in written:
            yield Finding(broken=Broken.LOST, where=where, what="the driver did not write it")
            continue
        row, message = _standing(inbound, record.rows), _standing(inbound, record.messages)
        if sum(name in record.messages for name in inbound.message_ids) > 1:
            yield Finding(broken=Broken.DUPLICATED, where=where, what="it stands under both names")
        if row is None:
            if not record.unacknowledged:
                yield Finding(broken=Broken.LOST, where=where, what="it stands nowhere")
        elif row.fields.get("processed") is True and (message is None or message.fields.get("text") != inbound.text):
            yield Finding(broken=Broken.LOST, where=where, what="its row is processed, its message does not stand")


def _unasked(cast: Cast, record: Record, *, chaos: bool) -> Iterator[Finding]:
    """Messages and alerts that nobody has given cause for."""
    expected = {name for inbound in cast.all_inbound() for name in inbound.message_ids}
    expected |= {request.message_id for request in cast.all_requests()}
    for message_id in record.messages.keys() - expected:
        where = _chat_of(cast, str(record.messages[message_id].fields.get("chatId")))
        yield Finding(broken=Broken.DUPLICATED, where=where, what="a message that nobody has written")
    doubts = {alert_id(ErrorCode.OUTCOME_UNKNOWN, request.request_id) for request in cast.all_requests()}
    for name, alert in record.alerts.items():
        if chaos and (name in doubts or alert.fields.get("type") not in list(ErrorCode)):
            continue
        yield Finding(broken=Broken.MISCOUNTED, where="alerts", what=f"an alert {alert.fields.get('type')}")


def _frames(cast: Cast, chat: Chat, record: Record) -> Iterator[Finding]:
    """The order in which first frames left, and frames that came again after a later message."""
    places = {str(request.key): request.place for request in cast.requests(chat)}
    highest, seen = -1, set[str]()
    for key in _keys(chat, record):
        if key not in places:
            yield Finding(broken=Broken.DUPLICATED, where=f"chat {chat.index}", what="a frame of an id of no request")
            continue
        where = f"request {chat.index}-{places[key]}"
        if key in seen and places[key] < highest:
            yield Finding(broken=Broken.DUPLICATED, where=where, what=f"it came again after {chat.index}-{highest}")
        elif key not in seen and places[key] < highest:
            yield Finding(broken=Broken.OUT_OF_ORDER, where=where, what=f"it left after {chat.index}-{highest}")
        seen.add(key)
        highest = max(highest, places[key])


def _arrivals(cast: Cast, chat: Chat, record: Record) -> Iterator[Finding]:
    """Messages of a chat stand in the order in which the contact wrote them."""
    found = [_standing(inbound, record.messages) for inbound in cast.inbound(chat)]
    standing = [(place, message.fields["timestamp"]) for place, message in enumerate(found) if message is not None]
    for (_, before), (place, after) in pairwise(standing):
        if after <= before:
            where = f"inbound {chat.index}-{place}"
            yield Finding(broken=Broken.OUT_OF_ORDER, where=where, what="its timestamp is not after the one before it")


def _departures(cast: Cast, chat: Chat, record: Record) -> Iterator[Finding]:
    """Messages of ours stand in the order in which they left, none of them before it was written."""
    last: datetime | None = None
    for request in cast.requests(chat):
        stored, message = _reply(request, record)
        if stored is None or message is None or message.fields.get("delivery") not in _SENT:
            continue
        where, left = f"request {chat.index}-{request.place}", message.fields["timestamp"]
        if left < stored.fields["createdAt"] or (last is not None and left < last):
            yield Finding(broken=Broken.OUT_OF_ORDER, where=where, what="its timestamp is not when it left")
        last = left


def _thread(cast: Cast, chat: Chat, record: Record) -> Iterator[Finding]:
    """Unread count and preview as a person at the inbox needs them, by when each message was written: triggers are late and commits
    come in any order, which changes nothing about who has answered whom."""
    stored, where = record.threads.get(chat.thread_id), f"chat {chat.index}"
    if stored is None:
        yield Finding(broken=Broken.LOST, where=where, what="it has no thread")
        return
    if chat.merges:
        for broken, what in _merge(cast, chat, stored, record):
            yield Finding(broken=broken, where=where, what=what)
    replies = [found for request in cast.requests(chat) if (found := _line_of_reply(request, record))]
    received = [found for inbound in cast.inbound(chat) if (found := _line_of_contact(inbound, record))]
    answered = max((line.written for line in replies if line.counts), default=None)
    unread = sum(answered is None or line.written > answered for line in received)
    if (said := stored.fields.get("unreadCountGlobal")) != unread:
        yield Finding(broken=Broken.MISCOUNTED, where=where, what=f"it says {said} unread, there are {unread}")
    lines = [*replies, *received]
    if not lines:
        return
    newest = max(line.earliest for line in lines)
    shown = (stored.fields.get("lastMessageAt"), stored.fields.get("lastMessagePreview"))
    if not any(shown in line.shown_as for line in lines if line.latest >= newest):
        yield Finding(broken=Broken.MISCOUNTED, where=where, what="its preview is not that of its last message")


def _merge(cast: Cast, chat: Chat, joined: Document, record: Record) -> Iterator[tuple[Broken, str]]:
    """Whoever opens the thread sees all messages, and whoever adds up the threads of a list counts none of them twice."""
    former = record.threads.get(chat.former_thread_id)
    if former is None or former.fields.get("mergedInto") != chat.thread_id:
        yield Broken.MISCOUNTED, "it has two threads"
        return
    if former.fields.get("unreadCountGlobal"):
        yield Broken.MISCOUNTED, "its former thread counts unread messages, too"
    seen = {chat.thread_id, *joined.fields.get("mergedFrom", ())}
    documents = [_standing(inbound, record.messages) for inbound in cast.inbound(chat)]
    documents += [record.messages.get(request.message_id) for request in cast.requests(chat)]
    unseen = sum(message is not None and message.fields["threadId"] not in seen for message in documents)
    if unseen:
        yield Broken.LOST, f"who opens its thread does not see {unseen} of its messages"


_When = tuple[int, datetime]
"""WhatsApp's times are whole seconds; within one, what was received or written first is first."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A message of a conversation. A reply has its place between when it was written and when it left; one that took longer than a
    minute has it where it left. `counts`: it was not taken back."""

    written: _When
    earliest: _When
    latest: _When
    shown_as: Collection[tuple[datetime, str]]
    """What a thread may say of it as its last message."""
    counts: bool = True


def _line_of_contact(inbound: Inbound, record: Record) -> _Line | None:
    row, message = _standing(inbound, record.rows), _standing(inbound, record.messages)
    if row is None or message is None:
        return None
    at = row.fields["timestamp"]
    when = (int(at.timestamp()), row.fields["receivedAt"])
    return _Line(written=when, earliest=when, latest=when, shown_as={(at, inbound.text)})


def _line_of_reply(request: Request, record: Record) -> _Line | None:
    stored, message = _reply(request, record)
    if stored is None or message is None:
        return None
    written, left = stored.fields["createdAt"], message.fields["timestamp"]
    if message.fields.get("delivery") == "failed":
        when, shown = _when(written), {(written, f"Perhaps not sent: {request.text}")}
        return _Line(written=when, earliest=when, latest=when, shown_as=shown, counts=False)
    is_prompt = left - written <= _PROMPT
    return _Line(
        written=_when(written),
        earliest=_when(written if is_prompt else left),
        latest=_when(left),
        shown_as={(left, request.text)} | ({(written, request.text)} if is_prompt else set()),
    )


def _when(at: datetime) -> _When:
    return int(at.timestamp()), at


def _reply(request: Request, record: Record) -> tuple[Document | None, Document | None]:
    return record.outbox.get(request.request_id), record.messages.get(request.message_id)


def _adjacent_repeats(cast: Cast, record: Record) -> int:
    return sum(one == next_one for chat in cast.chats for one, next_one in pairwise(_keys(chat, record)))


def _keys(chat: Chat, record: Record) -> list[str]:
    return [f.whatsapp_id for f in record.frames if (f.account, f.contact) == (chat.account.phone, chat.contact)]


def _standing(inbound: Inbound, documents: Mapping[str, Document]) -> Document | None:
    return next((documents[name] for name in inbound.message_ids if name in documents), None)


def _chat_of(cast: Cast, chat_id: str) -> str:
    return next(
        (f"chat {chat.index}" for chat in cast.chats if chat_id in (chat.chat_id, chat.former_id)),
        "no chat of this round",
    )
