"""The first day with a real phone: pairing with history, messages of every kind from many chats, a call; what an employee sees, and no alert."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from google.cloud.firestore_v1.base_query import FieldFilter

from core import content, schema
from local.control_client import ControlClient
from local.drills.case import Case
from local.drills.command_line import Screen
from local.drills.drill import Drill
from local.drills.fields import Document
from local.drills.ground import until
from local.drills.what_people_send import EVERY_KIND, NOT_SHOWN, Sent
from local.network.contacts import Addressing

_CONTACTS = 11
_IN_GROUP = 4
_FEWEST = (40, 25, 12)
"""Messages, kinds and chats that make a first day."""
_UNDER_ITS_NUMBER, _UNDER_ITS_LID = 2, 3
"""Messages of the contact whose LID becomes known in the course of the day."""


class _Day:
    """One account, its people, and what each of them has sent: the record that what an employee sees is compared with."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.control = ControlClient(case.ground.world.ports.network_control)
        self.phone = case.account.phone
        self.people = [f"{case.people.contact[:-4]}1{number:03d}" for number in range(_CONTACTS)]
        self.joined = f"{case.people.contact[:-4]}2000"
        """A contact whose LID nobody tells at first."""
        self.group = ""
        self.sent: dict[str, list[tuple[Sent, str]]] = {contact: [] for contact in self.people}
        """Of each contact what was sent, in order, with its WhatsApp id."""
        self.sent[self.joined] = []

    def meet(self) -> None:
        for number, contact in enumerate(self.people):
            self.case.ground.network.add_contact(contact, f"Contact {number + 1}")

    def send(self, contact: str, sent: Sent) -> None:
        row = self.control.post("/send-message", contact=contact, to=self.phone, message=json.dumps(dict(sent.message)))
        self.sent[contact].append((sent, str(row["whatsapp_id"])))

    def begin(self) -> None:
        self.control.post("/send-history", account=self.phone, contacts=self.people)
        for place, sent in enumerate((*EVERY_KIND, *NOT_SHOWN)):
            self.send(self.people[place % (_CONTACTS - 1)], sent)
        once = self.control.post("/send-view-once", contact=self.people[0], to=self.phone)
        line = "View-once message: open it on the phone"
        self.sent[self.people[0]].append((Sent(message={}, kind="viewOnce", line=line), str(once["whatsapp_id"])))
        self.group = str(
            self.control.post("/create-group", account=self.phone, name="Customers", members=self.people[:2])["group"]
        )
        for place in range(4):
            member = self.people[place % 2]
            self.control.post("/write-in-group", group=self.group, contact=member, text=f"in the group {place}")
        self._become_known()
        caller = self.people[-1]
        call_id = str(self.control.post("/call", contact=caller, to=self.phone)["call_id"])
        self.sent[caller].append((Sent(message={}, kind="call", line="Call"), call_id))

    def _become_known(self) -> None:
        """A contact writes under its number, and from then on under its LID.

        The first messages under the LID cannot be decrypted, since the engine's Signal session is under the number, and are sent again. So
        they may arrive after later ones: their order is that of WhatsApp's times, which are whole seconds.
        """
        network = self.case.ground.network
        network.add_contact(self.joined, "Contact 12", addressing=Addressing.NUMBER_ONLY)
        for place in range(_UNDER_ITS_NUMBER):
            self._text(self.joined, f"under the number {place}")
        until(lambda: self.joined in _listed(self), "the chat under the number is there", 60.0)
        network.add_contact(self.joined, "Contact 12", addressing=Addressing.LID)
        for place in range(_UNDER_ITS_LID):
            self._text(self.joined, f"under the LID {place}")
            time.sleep(1.0)

    def _text(self, contact: str, text: str) -> None:
        self.send(contact, Sent(message={"conversation": text}, kind="text", line=text))

    def expected(self, contact: str) -> list[tuple[str, str]]:
        """Kind and line of what an employee must see, in order."""
        return [(sent.kind, sent.line) for sent, _ in self.sent[contact] if sent.kind is not None]


def first_day(case: Case) -> None:
    day = _Day(case)
    day.meet()
    case.strike("a phone that was just paired sent its history, and people sent everything that they send", day.begin)
    _all_is_taken_up(day)
    _is_seen(day)
    _is_read_on_the_phone(day, day.people[0])
    case.stands()
    case.screens("account", "alerts")
    case.mend("nothing: an employee answers", lambda: None)
    case.line.over_after_s = time.monotonic() - case.mended_at
    case.talks()


def _all_is_taken_up(day: _Day) -> None:
    shown = sum(len(day.expected(contact)) for contact in day.sent) + _IN_GROUP

    def is_taken_up() -> bool:
        rows = _of_account(day, schema.INGEST)
        of_messages = [row for row in rows if row["eventType"] == "message"]
        return len(of_messages) >= shown and all(row["processed"] is True for row in rows)

    until(is_taken_up, f"{shown} messages are taken up", 120.0)
    without_end = [row for row in _of_account(day, schema.INGEST) if row.get("expireAt") is None]
    day.case.expect(not without_end, f"every row expires: {len(without_end)} do not")


def _is_seen(day: _Day) -> None:
    """The transcript: a line a message, as an employee sees it."""
    threads = _listed(day)
    messages = _of_account(day, schema.MESSAGES)
    transcript: list[str] = []
    for contact in day.sent:
        expected = day.expected(contact)
        thread = threads.get(contact)
        if thread is None:
            day.case.expect(not expected, f"there is no thread for a contact who sent {len(expected)} messages")
            continue
        own = _shown_in(thread, messages)
        seen = [str(each["kind"]) for each in own]
        day.case.expect(seen == [kind for kind, _ in expected], f"a thread shows {seen}, and was sent {expected}")
        day.case.expect(
            thread["lastMessagePreview"] == expected[-1][1],
            f"the preview is {thread['lastMessagePreview']!r}, not {expected[-1][1]!r}",
        )
        day.case.expect(thread["unreadCountGlobal"] == len(expected), f"{thread['unreadCountGlobal']} are unread")
        transcript += _told(thread, own)
    joined = threads.get(day.joined, {})
    merged = (str(joined.get("chatId")).endswith("@lid"), len(joined.get("mergedFrom") or []))
    day.case.expect(merged == (True, 1), f"the two chats of one person are one, under the LID: {merged}")
    seen_joined = [each["text"] for each in _shown_in(joined, messages)] if joined else []
    sent_joined = [line for _, line in day.expected(day.joined)]
    day.case.expect(seen_joined == sent_joined, f"the joined thread shows {seen_joined}")
    transcript += _group_is_seen(day, messages)
    counts = len(messages), len({each["kind"] for each in messages}), len(_chats(day))
    day.case.expect(
        all(count >= fewest for count, fewest in zip(counts, _FEWEST, strict=True)),
        f"the day has {_FEWEST} messages, kinds and chats: {counts}",
    )
    transcript.insert(
        0, f"{counts[0]} messages of {counts[1]} kinds in {counts[2]} chats, after the history of the pairing"
    )
    screen = Screen(drill=day.case.drill.name, title="What an employee sees", text="\n".join(transcript) + "\n")
    day.case.ground.admin.screens.append(screen)


def _listed(day: _Day) -> dict[str, Document]:
    """The threads in an employee's list, by the contact's number: those that have not become one with another."""
    return {str(thread["clientPhoneE164"]): thread for thread in _chats(day)}


def _chats(day: _Day) -> list[Document]:
    return [thread for thread in _of_account(day, schema.THREADS) if thread.get("mergedInto") is None]


def _shown_in(thread: Document, messages: Sequence[Document]) -> list[Document]:
    """A conversation in its order, with what was said in the threads that have become one with it."""
    names = {thread["threadId"], *(thread.get("mergedFrom") or [])}
    return sorted((each for each in messages if each["threadId"] in names), key=_when)


def _group_is_seen(day: _Day, messages: Sequence[Document]) -> list[str]:
    thread = next((each for each in _of_account(day, schema.THREADS) if each["chatId"] == day.group), None)
    if thread is None:
        day.case.expect(is_so=False, what="there is a thread of the group")
        return []
    own = _shown_in(thread, messages)
    seen = [(each["senderName"], each["text"]) for each in own]
    wanted = [(f"Contact {place % 2 + 1}", f"in the group {place}") for place in range(_IN_GROUP)]
    day.case.expect(seen == wanted, f"the group shows {seen}")
    shown = (thread["kind"], thread["clientDisplayName"], thread["unreadCountGlobal"])
    day.case.expect(shown == ("group", "Customers", _IN_GROUP), f"the group's thread is {shown}")
    return _told(thread, own)


def _is_read_on_the_phone(day: _Day, contact: str) -> None:
    ids = [whatsapp_id for sent, whatsapp_id in day.sent[contact] if sent.kind is not None]
    day.control.post("/look-at", account=day.phone, contact=contact, whatsapp_ids=ids)

    def is_read() -> bool:
        return bool(_listed(day)[contact]["unreadCountGlobal"] == 0)

    until(is_read, "what the phone has shown is read", 60.0)


def _told(thread: Document, messages: Sequence[Document]) -> list[str]:
    title = f"{thread['clientDisplayName'] or 'Without a name'} ({thread['kind']}, {thread['unreadCountGlobal']} unread): {thread['lastMessagePreview']}"
    former = ["    (its first messages came under the number)"] if thread.get("mergedFrom") else []
    return [title, *former, *(f"    {content.line(content.parse(_payload(each)))}" for each in messages)]


def _payload(message: Document) -> Document:
    """What an app needs to show a message: the document's fields, as the ingest log has them."""
    note = {"targetId": message.get("targetId")}
    poll = {**(message.get("poll") or {}), "question": message["text"]}
    return {**message, "note": note, "poll": poll, "contacts": {"cards": message.get("contacts") or []}}


def _when(message: Mapping[str, Any]) -> tuple[Any, Any]:
    return message["timestamp"], message.get("receivedAt")


def _of_account(day: _Day, collection: str) -> list[Document]:
    query = day.case.ground.db.collection(collection).where(filter=FieldFilter("accountId", "==", day.case.name))
    return [each.to_dict() or {} for each in query.stream()]


DRILLS = (
    Drill(
        name="first-day",
        cause="the first day with a real phone",
        run=first_day,
    ),
)
