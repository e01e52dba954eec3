"""The control API says what is wrong with a call."""

import pytest

from local.control_client import ControlClient, ControlRefused
from local.network.client import Network
from tests.local.network.conftest import Address
from tests.local.network.driver import ANA, SHOP, Driver

MALFORMED: list[tuple[str, dict[str, object], str]] = [
    ("/contact", {"phone": "40712345678", "name": "Ana"}, "phone"),
    ("/contact", {"phone": ANA}, "name must be given"),
    ("/contact", {"phone": ANA, "name": "Ana", "reads": "yes"}, "reads"),
    ("/contact", {"phone": ANA, "name": "Ana", "addressing": "e-mail"}, "addressing must be one of number"),
    ("/contact", {"phone": ANA, "name": "Ana", "nick": "A"}, "unknown fields: nick"),
    ("/write", {"contact": ANA, "to": SHOP}, "text"),
    ("/write", {"contact": ANA, "to": SHOP, "text": "a", "unsupported": "b"}, "text"),
    ("/write", {"contact": ANA, "to": SHOP, "text": 5}, "text"),
    ("/write", {"contact": ANA, "to": SHOP, "text": "\ud800"}, "Unicode"),
    ("/receipt", {"contact": ANA, "account": SHOP, "type": "read", "whatsapp_ids": []}, "whatsapp_ids"),
    ("/receipt", {"contact": ANA, "account": SHOP, "type": "seen", "whatsapp_ids": ["A"]}, "type"),
    ("/connection", {"account": SHOP, "change": "explode"}, "change must be one of"),
    ("/fault", {}, "kind must be given"),
    ("/fault", {"kind": "earthquake"}, "kind must be one of"),
    ("/fault", {"kind": "silent", "times": 0}, "times"),
    ("/fault", {"kind": "silent", "seconds": 1}, "seconds"),
    ("/fault", {"kind": "delay_before"}, "seconds"),
    ("/fault", {"kind": "delay_before", "seconds": -1}, "seconds"),
    ("/fault", {"kind": "silent", "code": "463"}, "code"),
    ("/settings", {"code_lifetime_s": "long"}, "code_lifetime_s"),
]


@pytest.mark.parametrize(("path", "fields", "complaint"), MALFORMED)
def test_a_malformed_call_is_refused_and_the_field_is_named(
    network: Network, network_address: Address, path: str, fields: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ControlRefused, match=complaint) as refused:
        ControlClient(network_address.control_port).post(path, **fields)
    assert refused.value.status == 400


def test_what_is_not_there_is_not_found(network: Network) -> None:
    nobody = "+40799999999"
    for call in (
        lambda: network.write(nobody, SHOP, "hello"),
        lambda: network.write(ANA, SHOP, "hello"),
        lambda: network.inbox(nobody),
        lambda: network.echo(SHOP, ANA, "3EB0A"),
        lambda: network.clear_faults(7),
        lambda: network.disconnect(SHOP),
    ):
        with pytest.raises(ControlRefused) as refused:
            call()
        assert refused.value.status == 404


async def test_a_contact_that_is_changed_keeps_its_inbox(driver: Driver, network: Network) -> None:
    await driver.connected()
    await driver.send("3EB0A")
    network.add_contact(ANA, "Ana Maria", reads=True)
    assert (network.contacts()[ANA].name, len(network.inbox(ANA))) == ("Ana Maria", 1)
