"""Frames that a real engine sends, and what may befall them and their acks."""

import asyncio
import time

from connector.contract import engine_pb2 as pb
from tests.whatsapp.linked import Linked, new_id
from tests.whatsapp.record import Frame


async def test_an_id_that_is_sent_again_is_shown_once(here: Linked) -> None:
    message_id, attempts = new_id(), 3
    for _ in range(attempts):
        assert (await here.account.send(str(here.ana.number_jid), message_id, "once")).outcome == pb.SendResponse.SENT
    frames = here.server.frames(here.phone, here.ana, message_id)
    assert [(frame.attempt, frame.text, frame.decryptable) for frame in frames] == [
        (number, "once", True) for number in range(1, attempts + 1)
    ]
    assert [shown.id for shown in here.ana.inbox] == [message_id]


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


async def test_a_drop_before_the_ack_leaves_the_message_with_its_contact(here: Linked) -> None:
    message_id = new_id()
    here.server.faults.drop_at_frame()
    await here.account.send(str(here.ana.number_jid), message_id, "dropped", timeout_s=30)
    await here.device.ready()
    assert here.device.logins > 1
    assert [shown.id for shown in here.ana.inbox] == [message_id]
