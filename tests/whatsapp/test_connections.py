"""What ends a real engine's connection, and whether it comes back."""

import pytest

from connector.contract import engine_pb2 as pb
from tests.whatsapp.linked import Linked


async def test_a_half_closed_connection_is_opened_anew(here: Linked) -> None:
    logins = here.device.logins
    here.server.faults.half_close(here.device)
    await here.ana.send(here.phone, "over the next connection")
    await here.account.until_message("over the next connection")
    assert here.device.logins > logins


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
