"""What contacts and WhatsApp are told of the account: its name, and that its messages have come."""

from connector.contract import engine_pb2 as pb
from tests.engine.conftest import ANA, PHONE, Linked
from tests.engine.running import RunningEngine
from tests.whatsapp import WhatsAppServer
from tests.whatsapp.record import PresenceSeen


def _kinds(server: WhatsAppServer) -> set[str]:
    return {presence.kind for presence in server.presences}


async def test_whatsapp_is_told_the_accounts_name_after_pairing(server: WhatsAppServer, linked: Linked) -> None:
    await server.until(lambda: server.presences, what="the account's name")
    assert server.presences[0].name == linked.phone.name
    assert linked.phone.announced_name == linked.phone.name


async def test_whatsapp_is_told_the_name_at_each_login_and_when_it_changes(
    server: WhatsAppServer, linked: Linked
) -> None:
    await server.until(lambda: server.presences, what="the account's name")
    linked.phone.rename("Shop of Ana")
    await server.until(lambda: linked.phone.announced_name == "Shop of Ana", what="the new name")
    server.faults.drop(linked.device)
    await server.until(lambda: _of_login(server, 2), what="the name on the next connection")
    assert _of_login(server, 2)[0].name == "Shop of Ana"


async def test_the_account_never_says_that_somebody_looks(server: WhatsAppServer, linked: Linked) -> None:
    """`available` would silence the phone's notifications."""
    await linked.ana.send(linked.phone, "hello")
    await linked.account.until_message("hello")
    await linked.account.send(linked.ana_jid, "3EB0AABBCCDDEEFF0011", "an answer")
    marked = pb.MarkReadRequest(
        session=linked.account.session, chat_jid=linked.ana_jid, whatsapp_ids=[linked.account.messages[0].whatsapp_id]
    )
    await linked.account.stub.MarkRead(marked, timeout=10)
    server.faults.drop(linked.device)
    await server.until(lambda: _of_login(server, 2), what="the name on the next connection")
    assert _kinds(server) == {"unavailable"}


async def test_contacts_see_two_ticks_while_the_phone_is_off(server: WhatsAppServer, linked: Linked) -> None:
    written = await linked.ana.send(linked.phone, "hello")
    await linked.account.until_message("hello")
    await server.until(lambda: linked.ana.ticks, what="the second tick")
    assert linked.ana.ticks == [written.id]
    assert linked.ana.inactive_receipts == []


async def test_the_name_is_learnt_from_the_phones_own_messages_where_the_app_state_is_silent(
    server: WhatsAppServer, engine: RunningEngine
) -> None:
    phone, ana, account = server.add_phone(PHONE, "Shop"), server.add_contact(ANA), engine.account("shop")
    phone.shares_app_state = False
    await account.open()
    device = await phone.scan((await account.pair()).qr)
    await account.connected()
    await device.ready()
    await phone.write(ana, "typed on the phone")
    await account.until_message("typed on the phone")
    await server.until(lambda: server.presences, what="the account's name")
    assert server.presences == [PresenceSeen(account=PHONE, kind="unavailable", name="Shop", login=1)]


async def test_the_name_is_learnt_although_the_engine_is_killed_at_the_keys(
    server: WhatsAppServer, engine: RunningEngine
) -> None:
    """The phone gives the keys to the app state once."""
    muted = server.faults.mute("w:sync:app:state")
    phone, account = server.add_phone(PHONE, "Shop"), engine.account("shop")
    await account.open()
    device = await phone.scan((await account.pair()).qr)
    await account.connected()
    await device.caught_up()
    await engine.kill()
    muted.end()
    await engine.start()
    await engine.account("shop").open()
    await server.until(lambda: phone.announced_name == "Shop", what="the account's name")


def _of_login(server: WhatsAppServer, login: int) -> list[PresenceSeen]:
    """The first login is the one after pairing."""
    return [presence for presence in server.presences if presence.login == login]
