"""Groups: a member's first message comes with its key in one stanza, and every message names its group and who wrote it."""

import json

import pytest
from aiohttp.test_utils import TestClient, TestServer

from connector.contract import engine_pb2 as pb
from tests.engine.conftest import Linked
from tests.whatsapp import WhatsAppServer
from tests.whatsapp.contact import Contact
from tests.whatsapp.control import Control
from tests.whatsapp.groups import Group


@pytest.fixture
def ion(server: WhatsAppServer) -> Contact:
    return server.add_contact("+40733333333", "Ion")


@pytest.fixture
def group(server: WhatsAppServer, linked: Linked, ion: Contact) -> Group:
    return server.add_group("Customers", linked.phone, [linked.ana, ion])


async def test_each_members_first_text_comes(linked: Linked, group: Group, ion: Contact) -> None:
    """WhatsApp hands the sender's key and the text over under one id; the key alone is no message."""
    for member in (linked.ana, ion):
        for text in ("first", "second"):
            await group.send(member, f"{text} of {member.name}")
    await linked.account.until_message("second of Ion")
    assert linked.account.texts() == ["first of Ana", "second of Ana", "first of Ion", "second of Ion"]
    await linked.device.caught_up()


@pytest.mark.parametrize("addressing", ["lid", "pn"])
async def test_a_message_names_its_group_and_its_sender(
    server: WhatsAppServer, linked: Linked, addressing: str
) -> None:
    group = server.add_group("Customers", linked.phone, [linked.ana], addressing="lid" if addressing == "lid" else "pn")
    written = await group.send(linked.ana, "hello")
    message = await linked.account.until_message("hello")
    assert (message.whatsapp_id, message.chat_jid, message.chat_other_jid) == (written.id, str(group.jid), "")
    assert (message.chat_name, message.push_name) == ("Customers", "Ana")
    lid, number = str(linked.ana.lid), str(linked.ana.number_jid)
    both = pb.Person(jid=lid, other_jid=number) if addressing == "lid" else pb.Person(jid=number, other_jid=lid)
    assert message.sender == both


async def test_a_group_is_asked_for_once(server: WhatsAppServer, linked: Linked, group: Group, ion: Contact) -> None:
    for number in range(3):
        await group.send(linked.ana, f"text {number}")
        await group.send(ion, f"answer {number}")
    await linked.account.until_message("answer 2")
    assert {message.chat_name for message in linked.account.messages} == {"Customers"}
    assert server.group_queries == [group.jid]


async def test_a_key_without_content_is_acknowledged_and_is_no_event(linked: Linked, group: Group) -> None:
    await group.send(linked.ana, "before")
    group.forget_keys(linked.ana)
    await group.send(linked.ana, "after a new key")
    await linked.account.until_message("after a new key")
    assert linked.account.texts() == ["before", "after a new key"]
    await linked.device.caught_up()


async def test_what_came_while_the_account_was_away_comes_whole(
    server: WhatsAppServer, linked: Linked, group: Group
) -> None:
    await linked.account.close()
    for number in range(3):
        await group.send(linked.ana, f"text {number}")
    await linked.account.open()
    await linked.account.until_message("text 2")
    assert linked.account.texts() == ["text 0", "text 1", "text 2"]
    account = linked.account
    backlog = await account.until(
        lambda: next((event.backlog for event in account.events if event.WhichOneof("kind") == "backlog"), None),
        "the backlog",
    )
    assert (backlog.announced, backlog.events, backlog.undecrypted, backlog.lost) == (3, 3, 0, 0)
    await linked.device.caught_up()


async def test_what_the_owner_writes_in_a_group_on_the_phone_comes_as_the_accounts_own(
    linked: Linked, group: Group
) -> None:
    await group.send(linked.phone, "typed on the phone")
    message = await linked.account.until_message("typed on the phone")
    assert (message.chat_jid, message.chat_name, message.from_me) == (str(group.jid), "Customers", True)
    await linked.device.caught_up()


async def test_a_call_to_a_group_shows_in_the_groups_chat(linked: Linked, group: Group) -> None:
    call_id = linked.ana.call(linked.phone, group=group.jid)
    await linked.account.until(lambda: linked.account.messages, "the call")
    call = linked.account.messages[0]
    assert (call.whatsapp_id, call.note) == (call_id, pb.Note(kind="call"))
    assert (call.chat_jid, call.chat_name) == (str(group.jid), "Customers")
    assert {call.sender.jid, call.sender.other_jid} == {str(linked.ana.lid), str(linked.ana.number_jid)}
    await linked.device.caught_up()


async def test_a_members_view_once_message_shows_in_the_group_and_opens_no_gap(linked: Linked, group: Group) -> None:
    shown_once = group.send_view_once(linked.ana)
    await group.send(linked.ana, "after it")
    await linked.account.until_message("after it")
    first = linked.account.messages[0]
    assert (first.whatsapp_id, first.note) == (shown_once, pb.Note(kind="viewOnce"))
    assert (first.chat_jid, first.sender.jid) == (str(group.jid), str(linked.ana.lid))
    assert [event for event in linked.account.events if event.WhichOneof("kind") == "awaited"] == []
    await linked.device.caught_up()


async def test_a_members_message_that_cannot_be_decrypted_comes_when_it_is_sent_again(
    server: WhatsAppServer, linked: Linked, group: Group
) -> None:
    await group.send(linked.ana, "before")
    server.faults.corrupt_next(linked.ana)
    written = await group.send(linked.ana, "in two tries")
    message = await linked.account.until_message("in two tries")
    assert (message.whatsapp_id, message.chat_jid) == (written.id, str(group.jid))
    assert message.sender.jid == str(linked.ana.lid)
    await linked.device.caught_up()


async def test_the_control_api_sends_any_kind_into_a_group(server: WhatsAppServer, linked: Linked) -> None:
    control = Control(server)
    async with TestClient(TestServer(control.application())) as client:
        bea = "+40744444444"
        await client.post("/contact", json={"phone": bea, "name": "Bea"})
        made = await client.post(
            "/create-group", json={"account": linked.phone.number, "name": "Team", "members": [bea]}
        )
        group = (await made.json())["group"]
        message = json.dumps({"audioMessage": {"seconds": 14, "PTT": True}})
        answer = await client.post("/send-message", json={"contact": bea, "group": group, "message": message})
        whatsapp_id = (await answer.json())["whatsapp_id"]
    await linked.account.until(lambda: linked.account.messages, "the voice message")
    voice = linked.account.messages[0]
    assert (voice.whatsapp_id, voice.chat_jid, voice.chat_name) == (whatsapp_id, group, "Team")
    assert (voice.media.type, voice.media.seconds, voice.push_name) == (pb.Media.VOICE, 14, "Bea")
    await linked.device.caught_up()
