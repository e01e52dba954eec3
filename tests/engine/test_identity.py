"""Which names the engine gives a contact: both, wherever WhatsApp can tell them."""

from tests.engine.conftest import Linked
from tests.whatsapp.server import WhatsAppServer


async def test_the_lid_of_a_number_that_comes_alone_is_looked_up(server: WhatsAppServer, linked: Linked) -> None:
    bea = server.add_contact("+40744444444", "Bea", addressing="number_only")
    await bea.send(linked.phone, "hello")
    message = await linked.account.until_message("hello")
    assert (message.chat_jid, message.chat_other_jid) == (str(bea.number_jid), str(bea.lid))


async def test_a_message_whose_senders_lid_nobody_tells_comes_under_the_number(
    server: WhatsAppServer, linked: Linked
) -> None:
    bea = server.add_contact("+40744444444", "Bea", addressing="number_only")
    server.faults.no_lid(bea)
    for text in ("one", "two"):
        await bea.send(linked.phone, text)
        message = await linked.account.until_message(text)
        assert (message.chat_jid, message.chat_other_jid) == (str(bea.number_jid), "")


async def test_the_number_of_a_hosted_device_is_its_persons(server: WhatsAppServer, linked: Linked) -> None:
    """Also when the number comes alone later: then WhatsApp need not be asked for the LID."""
    bea = server.add_contact("+40744444444", "Bea", addressing="hosted")
    server.faults.no_lid(bea)
    await bea.send(linked.phone, "one")
    message = await linked.account.until_message("one")
    assert (message.chat_jid, message.chat_other_jid) == (str(bea.lid), str(bea.number_jid))
    await bea.send(linked.phone, "two", addressing="number_only")
    message = await linked.account.until_message("two")
    assert (message.chat_jid, message.chat_other_jid) == (str(bea.number_jid), str(bea.lid))
