"""What becomes of a message in each chat of docs/kinds.md's table: shown in which chat, or dropped; always acknowledged, never an alert."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.conftest import Linked
from tests.whatsapp import Contact, Phone, WhatsAppServer, odd_chats
from tests.whatsapp.jid import Jid

_TABLE = Path(__file__).parents[2] / "docs" / "kinds.md"
_PERSON = "a person, by number or LID; also one whose service is hosted by WhatsApp (`hosted`, `hosted.lid`)"
_OWN = 'the account\'s own number ("message yourself")'
_GROUP = "a group (`g.us`)"
_STATUS = "status updates (`status@broadcast`)"
_ANNOUNCED = "WhatsApp's own announcements (the users 0 and 16505361212, and all of `c.us`)"
_ASSISTANT = "WhatsApp's assistants (`bot`)"
_OTHERS = "other services (`msgr`, `interop`, and any server that is not in this table)"
_TEXT = "the message"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """`chat` and `other_chat` are the chat's names; `name` is who wrote it."""

    chat: str
    other_chat: str
    name: str
    from_me: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    row: str
    """The first column of the table."""
    send: Callable[[WhatsAppServer, Contact, Phone], Awaitable[object] | object]
    shown: Callable[[Contact, Phone], Shown] | None
    """None: dropped."""


def by_number(contact: Contact, _: Phone) -> Shown:
    return Shown(chat=str(contact.number_jid), other_chat=str(contact.lid), name="Bea")


def by_lid(contact: Contact, _: Phone) -> Shown:
    return Shown(chat=str(contact.lid), other_chat=str(contact.number_jid), name="Bea")


def from_address(row: str, address: Jid) -> Case:
    return Case(row=row, send=lambda _s, bea, phone: odd_chats.from_address(bea, phone, _TEXT, address), shown=None)


def unseen_answer(server: WhatsAppServer, _: Contact, phone: Phone) -> str:
    server.forgive("refused_by_client")  # the ack says that the secret of the question is missing
    return odd_chats.from_assistant(phone)


CASES = {
    "a person by number": Case(
        row=_PERSON, send=lambda _s, bea, phone: bea.send(phone, _TEXT, addressing="number"), shown=by_number
    ),
    "a person by LID": Case(
        row=_PERSON, send=lambda _s, bea, phone: bea.send(phone, _TEXT, addressing="lid"), shown=by_lid
    ),
    "a hosted service by number": Case(
        row=_PERSON, send=lambda _s, bea, phone: odd_chats.from_hosted(bea, phone, _TEXT, "number"), shown=by_number
    ),
    "a hosted service by LID": Case(
        row=_PERSON, send=lambda _s, bea, phone: odd_chats.from_hosted(bea, phone, _TEXT, "lid"), shown=by_lid
    ),
    "the own chat by number": Case(
        row=_OWN,
        send=lambda _s, _bea, phone: odd_chats.typed_to_self(phone, _TEXT, "number"),
        shown=lambda _, phone: Shown(
            chat=str(phone.number_jid), other_chat=str(phone.lid), name=phone.name, from_me=True
        ),
    ),
    "the own chat by LID": Case(
        row=_OWN,
        send=lambda _s, _bea, phone: odd_chats.typed_to_self(phone, _TEXT, "lid"),
        shown=lambda _, phone: Shown(
            chat=str(phone.lid), other_chat=str(phone.number_jid), name=phone.name, from_me=True
        ),
    ),
    "a group": Case(
        row=_GROUP,
        send=lambda server, bea, phone: server.add_group("Customers", phone, [bea]).send(bea, _TEXT),
        shown=lambda _, _phone: Shown(chat="120363000000000000@g.us", other_chat="", name="Bea"),
    ),
    "a contact's broadcast list": Case(
        row="a contact's broadcast list",
        send=lambda _s, bea, phone: odd_chats.from_list_of(bea, phone, _TEXT),
        shown=by_lid,
    ),
    "the own broadcast list": Case(
        row="the account's own broadcast list (`broadcast`, typed on the phone)",
        send=lambda _s, _bea, phone: odd_chats.typed_to_list(phone, _TEXT),
        shown=None,
    ),
    "a contact's status": Case(
        row=_STATUS, send=lambda _s, bea, phone: odd_chats.status_update(bea, phone, _TEXT), shown=None
    ),
    "the own status": Case(
        row=_STATUS, send=lambda _s, _bea, phone: odd_chats.typed_as_status(phone, _TEXT), shown=None
    ),
    "a channel": Case(
        row="channels (`newsletter`)", send=lambda _s, _bea, phone: odd_chats.in_channel(phone, _TEXT), shown=None
    ),
    "the user 0": from_address(_ANNOUNCED, Jid("0")),
    "the user 16505361212": from_address(_ANNOUNCED, Jid("16505361212")),
    "c.us": from_address(_ANNOUNCED, Jid("40700000000", "c.us")),
    "an assistant": from_address(_ASSISTANT, Jid("867051314767696", "bot")),
    "an assistant's answer to a question that was not seen": Case(row=_ASSISTANT, send=unseen_answer, shown=None),
    "a server that nobody knows": from_address(_OTHERS, Jid("7", "later.example")),
}


def test_every_row_of_the_table_has_a_case_that_agrees_with_it() -> None:
    section = _TABLE.read_text(encoding="utf-8").partition("## Chats")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| (.+?) \| (shown|dropped)\b", section, re.MULTILINE))
    assert {case.row: "dropped" if case.shown is None else "shown" for case in CASES.values()} == rows


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_message_is_shown_or_dropped_as_the_table_says(
    server: WhatsAppServer, linked: Linked, case: Case
) -> None:
    bea = server.add_contact("+40744444444", "Bea")
    sent = case.send(server, bea, linked.phone)
    if isinstance(sent, Awaitable):
        await sent
    await linked.ana.send(linked.phone, "after it")
    await linked.account.until_message("after it")
    await linked.device.caught_up()
    seen = [
        (
            Shown(chat=each.chat_jid, other_chat=each.chat_other_jid, name=each.push_name, from_me=each.from_me),
            each.text,
        )
        for each in linked.account.messages[:-1]
    ]
    assert seen == ([] if case.shown is None else [(case.shown(bea, linked.phone), _TEXT)])
    kinds = {event.WhichOneof("kind") for event in linked.account.events if event.sequence}
    assert kinds == {"message"}, "what is awaited or lost opens a gap"
    assert linked.account.states[-1] == "CONNECTED"
    assert "RECONNECTING" not in linked.account.states
    assert [line for line in linked.account.engine.log if '"severity":"ERROR"' in line] == []
