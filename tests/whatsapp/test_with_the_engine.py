"""The server against the real engine: what a client must be told so that it is satisfied, and each fault as it sees it."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from connector.contract import engine_pb2 as pb
from tests.engine.running import Account, RunningEngine
from tests.whatsapp import Contact, Device, PairingRefused, Phone, ServerFoundProblems, WhatsAppServer
from tests.whatsapp.contact import Addressing
from tests.whatsapp.person import text_message
from tests.whatsapp.record import Frame

SHOP, ANA, BOB = "+40722222222", "+40711111111", "+40733333333"
BACKLOG = 6_000
_numbers = itertools.count(1)


def new_id() -> str:
    return f"3EB0{next(_numbers):018X}"


@dataclass(frozen=True, kw_only=True)
class Linked:
    """A server with a contact and an engine whose one account is paired."""

    server: WhatsAppServer
    engine: RunningEngine
    account: Account
    phone: Phone
    device: Device
    ana: Contact

    async def restart(self, account: Account | None = None) -> Account:
        """SIGKILL, and a new process on the same store."""
        await self.engine.kill()
        await self.server.until(lambda: not self.device.is_connected, what="the server to notice")
        await self.engine.start()
        again = account or self.engine.account(self.account.session.account_id)
        await again.open()
        return again


@contextlib.asynccontextmanager
async def linked(server: WhatsAppServer, folder: Path, *, by_code: bool = False) -> AsyncIterator[Linked]:
    """The engine ends first; the server looks for problems when it has had its answers."""
    engine = RunningEngine(store=f"sqlite:{folder / 'engine.db'}", environment=server.environment())
    async with engine:
        phone, ana = server.add_phone(SHOP), server.add_contact(ANA, "Ana", addressing="lid")
        account = engine.account("shop")
        await account.open()
        if by_code:
            device = await phone.enter_code((await account.pair(SHOP)).phone_code)
        else:
            device = await phone.scan((await account.pair()).qr)
        await account.connected()
        await device.ready()
        yield Linked(server=server, engine=engine, account=account, phone=phone, device=device, ana=ana)
        await account.leave()
        await server.settle()


@pytest.fixture(name="here")
async def _here(tmp_path: Path) -> AsyncIterator[Linked]:
    async with WhatsAppServer() as server, linked(server, tmp_path) as here:
        yield here


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("by_code", [False, True], ids=["by qr", "by code"])
async def test_a_session_is_paired_and_talks_both_ways(tmp_path: Path, tls: bool, by_code: bool) -> None:
    async with WhatsAppServer(tls=tls) as server, linked(server, tmp_path, by_code=by_code) as here:
        account, ana, message_id = here.account, here.ana, new_id()
        written = await ana.send(here.phone, "Bună!")
        message = await account.until_message("Bună!")
        assert (message.whatsapp_id, message.push_name, message.from_me) == (written.id, "Ana", False)
        assert {message.chat_jid, message.chat_other_jid} == {str(ana.lid), str(ana.number_jid)}
        assert message.timestamp_s == written.timestamp_s

        response = await account.send(message.chat_jid, message_id, "Cu ce vă ajut?")
        assert response.outcome == pb.SendResponse.SENT
        assert [(shown.sender, shown.id, shown.text) for shown in ana.inbox] == [(SHOP, message_id, "Cu ce vă ajut?")]
        assert here.phone.copies == [message_id]
        await ana.read(here.phone)
        await account.until(lambda: _has(account, message_id, pb.ReceiptReceived.DELIVERED), "delivered")
        await account.until(lambda: _has(account, message_id, pb.ReceiptReceived.READ), "read")
        assert server.refused_hosts == []


async def test_a_wrong_code_does_not_pair(tmp_path: Path) -> None:
    async with WhatsAppServer() as server:
        engine = RunningEngine(store=f"sqlite:{tmp_path / 'engine.db'}", environment=server.environment())
        async with engine:
            phone, account = server.add_phone(SHOP), engine.account("shop")
            await account.open()
            code = (await account.pair(SHOP)).phone_code
            with pytest.raises(PairingRefused):
                await phone.enter_code("".join(reversed(code.replace("-", ""))))
            assert phone.devices == []
            await account.leave()


@pytest.mark.parametrize("addressing", ["number", "number_only", "lid", "lid_only"])
async def test_a_contact_s_names_come_as_it_is_addressed(here: Linked, addressing: Addressing) -> None:
    bob = here.server.add_contact(BOB, "Bob", addressing=addressing)
    await bob.send(here.phone, "hello")
    message = await here.account.until_message("hello")
    number, lid = str(bob.number_jid), str(bob.lid)
    expected = {"number": (number, lid), "number_only": (number, ""), "lid": (lid, number), "lid_only": (lid, "")}
    assert (message.chat_jid, message.chat_other_jid) == expected[addressing]


async def test_an_id_that_is_sent_again_is_shown_once(here: Linked) -> None:
    message_id, attempts = new_id(), 3
    for _ in range(attempts):
        assert (await here.account.send(str(here.ana.number_jid), message_id, "once")).outcome == pb.SendResponse.SENT
    frames = here.server.frames(here.phone, here.ana, message_id)
    assert [(frame.attempt, frame.text, frame.decryptable) for frame in frames] == [
        (number, "once", True) for number in range(1, attempts + 1)
    ]
    assert [shown.id for shown in here.ana.inbox] == [message_id]


async def test_what_is_written_while_the_engine_is_dead_comes_in_order(here: Linked) -> None:
    await here.engine.kill()
    await here.server.until(lambda: not here.device.is_connected)
    texts = [f"text {number}" for number in range(200)]
    for text in texts:
        await here.ana.send(here.phone, text)
    assert len(here.device.waiting) >= len(texts)
    account = await here.restart()
    await account.until(lambda: len(account.texts()) >= len(texts), "all that was written")
    assert account.texts() == texts
    await here.server.until(lambda: not len(here.device.waiting))
    await account.leave()


async def test_what_comes_while_the_backlog_is_written_does_not_overtake_it(here: Linked) -> None:
    await here.engine.kill()
    await here.server.until(lambda: not here.device.is_connected)
    numbers = itertools.count()

    async def write(count: int) -> None:
        for _ in range(count):
            await here.ana.send(here.phone, str(next(numbers)))

    async def write_while_it_connects() -> None:
        while not here.device.is_ready:
            await write(1)
            await asyncio.sleep(0)

    await write(500)
    writing = asyncio.create_task(write_while_it_connects())
    account = await here.restart()
    await writing
    await write(10)
    last = str(next(numbers) - 1)
    await account.until_message(last)
    assert account.texts() == [str(number) for number in range(int(last) + 1)]
    await account.leave()


async def test_an_echo_shows_the_device_its_own_message(here: Linked) -> None:
    message_id = new_id()
    await here.account.send(str(here.ana.number_jid), message_id, "mine")
    await here.phone.echo(here.server.frames(id=message_id)[0])
    message = await here.account.until_message("mine")
    assert (message.whatsapp_id, message.from_me, message.chat_jid) == (message_id, True, str(here.ana.lid))


async def test_the_owner_s_own_messages_reach_linked_devices(here: Linked) -> None:
    written = await here.phone.write(here.ana, "typed")
    message = await here.account.until_message("typed")
    assert (message.whatsapp_id, message.from_me) == (written.id, True)
    assert message.chat_jid == str(here.ana.lid)
    assert [shown.text for shown in here.ana.inbox] == ["typed"]


async def test_a_message_that_cannot_be_decrypted_comes_again_when_it_is_asked_for(here: Linked) -> None:
    here.phone.answers_requests = False
    await here.account.send(str(here.ana.number_jid), new_id(), "so that the session is no new one")
    here.server.keep_stanzas()
    fault = here.server.faults.corrupt_next(here.ana)
    written = await here.ana.send(here.phone, "spoilt")
    message = await here.account.until_message("spoilt")
    assert (message.whatsapp_id, fault.hits) == (written.id, 1)
    sealed = [stanza.text for stanza in here.server.stanzas if "<enc " in stanza.text and not stanza.is_from_client]
    assert ['type="msg"' in text for text in sealed] == [True, False]
    assert 'type="pkmsg" count="1"' in sealed[1]  # a new session


async def test_a_message_that_its_sender_does_not_repeat_comes_from_the_phone(here: Linked) -> None:
    here.server.faults.corrupt_next(here.ana, answers=False)
    await here.ana.send(here.phone, "spoilt for ever")
    await here.account.until_message("spoilt for ever")
    assert len(here.phone.requests) == 1


async def test_a_placeholder_is_asked_for_on_the_phone(here: Linked) -> None:
    here.server.faults.unavailable(here.ana)
    written = await here.ana.send(here.phone, "seen on the phone alone")
    message = await here.account.until_message("seen on the phone alone")
    assert (message.whatsapp_id, message.chat_jid) == (written.id, str(here.ana.lid))


async def test_a_contact_that_cannot_decrypt_gets_the_message_again(here: Linked) -> None:
    message_id = new_id()
    here.server.faults.unreadable(here.ana)
    await here.account.send(str(here.ana.number_jid), message_id, "again")
    await here.server.until(lambda: here.ana.inbox)

    def seen(frame: Frame) -> tuple[str | None, bool]:
        return frame.text, frame.decryptable

    assert list(map(seen, here.server.frames(id=message_id))) == [(None, False), ("again", True)]


async def test_a_refused_message_does_not_reach_its_contact(here: Linked) -> None:
    message_id = new_id()
    here.server.faults.refuse(463, times=1)
    response = await here.account.send(str(here.ana.number_jid), message_id, "refused")
    assert (response.outcome, response.reason) == (pb.SendResponse.REJECTED, "463")
    assert [frame.refused for frame in here.server.frames()] == [463]
    assert here.ana.inbox == []


async def test_a_lost_frame_is_not_recorded_and_not_answered(here: Linked) -> None:
    here.server.faults.lose_frames(times=1)
    response = await here.account.send(str(here.ana.number_jid), new_id(), "lost", within_s=1, timeout_s=30)
    assert response.outcome == pb.SendResponse.UNKNOWN
    assert here.server.frames() == []


async def test_an_ack_that_is_held_comes_when_the_fault_ends(here: Linked) -> None:
    held = here.server.faults.hold_acks()
    message_id = new_id()
    sending = asyncio.create_task(here.account.send(str(here.ana.number_jid), message_id, "held", timeout_s=30))
    await here.server.until(lambda: here.server.frames(id=message_id))
    assert not sending.done()
    held.end()
    assert (await sending).outcome == pb.SendResponse.SENT


async def test_a_late_ack_comes_after_its_time(here: Linked) -> None:
    here.server.faults.late_acks(0.5, times=1)
    started = time.monotonic()
    response = await here.account.send(str(here.ana.number_jid), new_id(), "late")
    assert response.outcome == pb.SendResponse.SENT
    assert time.monotonic() - started >= 0.5


async def test_a_contact_without_keys_gets_a_message_that_nobody_can_read(here: Linked) -> None:
    here.server.faults.no_bundle(here.ana, times=1)
    await here.account.send(str(here.ana.number_jid), new_id(), "for nobody")
    assert [frame for frame in here.server.frames() if frame.decryptable] == []
    assert here.ana.inbox == []


async def test_nothing_leaves_for_a_contact_whose_lid_is_not_told(here: Linked) -> None:
    here.server.faults.no_lid(here.ana)
    response = await here.account.send(str(here.ana.number_jid), new_id(), "to nowhere")
    assert response.outcome == pb.SendResponse.NOT_SENT
    assert here.server.frames() == []


async def test_a_device_list_that_is_not_answered_keeps_the_message_from_leaving(here: Linked) -> None:
    here.server.faults.mute("usync")
    await here.account.send(str(here.ana.number_jid), new_id(), "waits", within_s=1, timeout_s=30)
    assert here.server.frames() == []


async def test_receipts_that_are_held_come_when_the_fault_ends(here: Linked) -> None:
    held, message_id = here.server.faults.hold_receipts(here.ana), new_id()
    await here.account.send(str(here.ana.number_jid), message_id, "text")
    await here.ana.send(here.phone, "after it")
    await here.account.until_message("after it")
    assert not _has(here.account, message_id, pb.ReceiptReceived.DELIVERED)
    held.end()
    await here.account.until(lambda: _has(here.account, message_id, pb.ReceiptReceived.DELIVERED), "delivered")


async def test_a_contact_that_reads_says_so_by_itself_in_its_time(here: Linked) -> None:
    here.ana.reads, here.server.receipt_delay_s = True, 0.3
    message_id, started = new_id(), time.monotonic()
    await here.account.send(str(here.ana.number_jid), message_id, "text")
    await here.account.until(lambda: _has(here.account, message_id, pb.ReceiptReceived.READ), "read")
    assert time.monotonic() - started >= 0.3


async def test_a_delayed_stanza_comes_late(here: Linked) -> None:
    here.server.faults.delay(0.5, contact=here.ana)
    started = time.monotonic()
    await here.ana.send(here.phone, "late")
    await here.account.until_message("late")
    assert time.monotonic() - started >= 0.5


async def test_a_half_closed_connection_is_opened_anew(here: Linked) -> None:
    logins = here.device.logins
    here.server.faults.half_close(here.device)
    await here.ana.send(here.phone, "over the next connection")
    await here.account.until_message("over the next connection")
    assert here.device.logins > logins


async def test_two_linked_devices_see_each_other_s_messages(here: Linked) -> None:
    second = here.engine.account("second")
    await second.open()
    device = await here.phone.scan((await second.pair()).qr)
    await second.connected()
    await device.ready()
    await here.account.send(str(here.ana.number_jid), new_id(), "from the first")
    message = await second.until_message("from the first")
    assert message.from_me
    written = await here.ana.send(here.phone, "to both")
    assert (await second.until_message("to both")).whatsapp_id == written.id
    await here.account.until_message("to both")
    await second.leave()


async def test_an_account_writes_to_another(here: Linked) -> None:
    other_phone, other = here.server.add_phone("+40744444444", "Other"), here.engine.account("other")
    await other.open()
    device = await other_phone.scan((await other.pair()).qr)
    await other.connected()
    await device.ready()
    await here.account.send(str(other_phone.number_jid), new_id(), "shop to shop")
    message = await other.until_message("shop to shop")
    assert not message.from_me
    assert [shown.text for shown in other_phone.inbox] == ["shop to shop"]
    await other.leave()


async def test_a_drop_before_the_ack_leaves_the_message_with_its_contact(here: Linked) -> None:
    message_id = new_id()
    here.server.faults.drop_at_frame()
    await here.account.send(str(here.ana.number_jid), message_id, "dropped", timeout_s=30)
    await here.device.ready()
    assert here.device.logins > 1
    assert [shown.id for shown in here.ana.inbox] == [message_id]


async def test_a_dropped_device_comes_back_and_gets_what_came_meanwhile(here: Linked) -> None:
    here.server.faults.drop(here.device)
    await here.ana.send(here.phone, "meanwhile")
    await here.account.until_message("meanwhile")
    await here.device.ready()


async def test_a_stream_error_brings_the_device_back(here: Linked) -> None:
    logins = here.device.logins
    here.server.faults.stream_error(here.device, 503)
    await here.server.until(lambda: here.device.logins > logins and here.device.is_ready)


async def test_an_unlinked_device_is_logged_out(here: Linked) -> None:
    await here.phone.unlink(here.device)
    await here.account.until_state(pb.SessionChanged.LOGGED_OUT)
    assert here.phone.devices == []


async def test_a_replaced_device_does_not_come_back_by_itself(here: Linked) -> None:
    here.server.faults.replace(here.device)
    await here.account.until_state(pb.SessionChanged.REPLACED)


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (401, pb.SessionChanged.LOGGED_OUT),
        (403, pb.SessionChanged.LOGGED_OUT),
        (402, pb.SessionChanged.BANNED),
        (405, pb.SessionChanged.OUTDATED),
    ],
)
async def test_a_failing_login_says_why(here: Linked, code: int, state: "pb.SessionChanged.State.ValueType") -> None:
    here.server.faults.login_failure(here.phone, code)
    here.server.faults.drop(here.device)
    await here.account.until_state(state)


async def test_a_login_that_fails_with_503_is_tried_again(here: Linked) -> None:
    logins = here.device.logins
    failure = here.server.faults.login_failure(here.phone, 503, times=1)
    here.server.faults.drop(here.device)
    await here.server.until(lambda: here.device.logins > logins and here.device.is_ready)
    assert failure.hits == 1


async def test_a_number_is_on_whatsapp_or_is_not(here: Linked) -> None:
    async def ask(number: str) -> pb.IsOnWhatsAppResponse:
        request = pb.IsOnWhatsAppRequest(session=here.account.session, phone_e164=number)
        return await here.account.stub.IsOnWhatsApp(request, timeout=10)

    assert (await ask(ANA)).registered
    assert not (await ask("+40799999999")).registered


async def test_history_tells_who_has_which_lid(here: Linked) -> None:
    bob = here.server.add_contact(BOB, "Bob", addressing="lid_only")
    await here.phone.send_history(here.device, mappings=[bob])
    await here.server.until(lambda: not len(here.device.waiting))
    await bob.send(here.phone, "by LID alone")
    message = await here.account.until_message("by LID alone")
    assert {message.chat_jid, message.chat_other_jid} == {str(bob.lid), str(bob.number_jid)}


async def test_a_call_is_told(here: Linked) -> None:
    here.ana.call(here.phone)
    await here.account.until(
        lambda: [message for message in here.account.messages if message.unsupported == "call"], "the call"
    )


async def test_marking_as_read_reaches_the_contact(here: Linked) -> None:
    written = await here.ana.send(here.phone, "read me")
    message = await here.account.until_message("read me")
    request = pb.MarkReadRequest(
        session=here.account.session, chat_jid=message.chat_jid, whatsapp_ids=[message.whatsapp_id]
    )
    await here.account.stub.MarkRead(request, timeout=10)
    seen = await here.server.until(lambda: here.server.receipts)
    assert [(receipt.contact, receipt.ids, receipt.kind) for receipt in seen] == [(ANA, (written.id,), "read")]


async def test_a_repeated_id_and_a_stanza_that_comes_twice_both_reach_the_device(here: Linked) -> None:
    here.server.faults.duplicate_delivery()
    first = await here.ana.send(here.phone, "one")
    await here.ana.send(here.phone, "two", id=first.id)
    await here.ana.send(here.phone, "three")
    await here.account.until_message("three")
    await here.server.until(lambda: not len(here.device.waiting))


async def test_bytes_that_are_no_message_are_a_problem_unless_the_test_is_about_them(here: Linked) -> None:
    await here.ana.send_message(here.phone, b"\xff" + text_message("text").SerializeToString())
    await here.server.until(lambda: here.server.problems)
    assert {problem.kind for problem in here.server.problems} == {"refused_by_client"}
    here.server.forgive("refused_by_client")


async def test_an_unanswered_stanza_fails_the_test(here: Linked) -> None:
    here.server.faults.fall_silent(here.device)
    await here.ana.send(here.phone, "never read")
    await here.server.settle(within_s=0.2)
    assert [problem.kind for problem in here.server.problems] == ["unanswered"]
    with pytest.raises(ServerFoundProblems, match="unanswered"):
        here.server.check()
    here.server.forgive("unanswered")
    here.server.faults.drop(here.device)


async def test_a_backlog_of_thousands_comes_in_order(here: Linked) -> None:
    await here.engine.kill()
    await here.server.until(lambda: not here.device.is_connected)
    for number in range(BACKLOG):
        await here.ana.send(here.phone, str(number))
    account = await here.restart()
    last = str(BACKLOG - 1)
    await account.until(
        lambda: account.events and account.events[-1].message.text == last, "all that was written", within_s=100
    )
    assert account.texts() == [str(number) for number in range(BACKLOG)]
    await account.leave()


def _has(account: Account, message_id: str, kind: "pb.ReceiptReceived.Type.ValueType") -> bool:
    return any(message_id in receipt.whatsapp_ids and receipt.type == kind for receipt in account.receipts)
