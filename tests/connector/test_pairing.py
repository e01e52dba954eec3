"""An account is paired by QR or by code, its codes are erased, and it stays the same number."""

from datetime import UTC, datetime
from typing import Any

import pytest

from connector.pairing import refusal_in_words
from core import schema
from core.account import CommandKind
from identity.tokens import TokenVerifier
from local.identity_server import CONNECTOR_ACCOUNT
from local.whatsapp import NetworkKind
from tests.connector.conftest import Shared
from tests.connector.stage import Stage, new_phone
from tests.waiting import stays, wait_until

NETWORKS = tuple(NetworkKind)


def codes_of(state: dict[str, Any]) -> list[object]:
    return [state.get(name) for name in ("qrCodeDataUrl", "pairingCode", "qrGeneratedAt", "qrExpiresAt")]


def test_a_scanned_qr_code_connects_the_account_and_is_erased(shared: Shared) -> None:
    stage, connector, ours, account = shared.stage, shared.connector, new_phone(), shared.stage.create_account()
    qr = stage.shown_qr(connector, account)
    shown = stage.private_state(account)
    assert shown["pairingCode"] is None
    assert shown["qrExpiresAt"] > shown["qrGeneratedAt"]

    stage.scan(ours, account, qr)
    connected = stage.await_status(account, "connected")
    assert connected["phoneE164"] == ours
    assert connected["assignedWorkerId"] == connector.worker
    assert (connected["lastError"], connected["disconnectReason"]) == (None, None)
    assert codes_of(stage.private_state(account)) == [None] * 4


def test_a_super_admin_sees_since_when_and_as_which_device_an_account_is_linked(shared: Shared) -> None:
    stage, connector, ours = shared.stage, shared.connector, new_phone()
    account = stage.create_account()
    began = datetime.now(UTC)
    stage.pair(connector, account, ours)
    link = stage.private_state(account)["authMeta"]
    assert began < link["pairedAt"] < datetime.now(UTC)
    assert link["platform"] == "android"
    assert link["deviceNumber"] >= 1
    assert link["engineVersion"]
    assert set(link) == {"pairedAt", "platform", "deviceNumber", "engineVersion"}, "nothing else, and no secret"

    stage.network.disconnect(ours)
    stage.await_status(account, "reconnecting")
    stage.network.reconnect(ours)
    stage.await_connected(account)
    assert stage.private_state(account)["authMeta"] == link

    stage.command(connector, account, CommandKind.LOGOUT)
    stage.await_status(account, "needs_qr")
    assert stage.private_state(account)["authMeta"] is None
    stage.pair(connector, account, ours)
    again = stage.private_state(account)["authMeta"]
    assert again["pairedAt"] > link["pairedAt"]
    assert again["deviceNumber"] > link["deviceNumber"]


def test_a_link_that_is_removed_on_the_phone_is_shown_no_more(shared: Shared) -> None:
    stage, connector, ours = shared.stage, shared.connector, new_phone()
    account = stage.paired_account(connector, ours)
    assert stage.private_state(account)["authMeta"] is not None
    stage.network.log_out(ours)
    stage.await_status(account, "needs_qr")
    wait_until(lambda: stage.private_state(account)["authMeta"] is None, "the link is shown no more")


def test_a_phone_code_connects_the_account_and_is_erased(shared: Shared) -> None:
    stage, connector, ours, account = shared.stage, shared.connector, new_phone(), shared.stage.create_account()
    stage.command(connector, account, CommandKind.PAIR_CODE, ours)
    stage.await_status(account, "qr_ready")
    shown = stage.private_state(account)
    assert shown["qrCodeDataUrl"] is None

    stage.enter_code(ours, account, shown["pairingCode"])
    assert stage.await_status(account, "connected")["phoneE164"] == ours
    assert codes_of(stage.private_state(account)) == [None] * 4


def test_the_functions_are_asked_to_flush_once_the_account_says_connected(stage: Stage) -> None:
    stage.flush.refusals = 2
    account = stage.paired_account(stage.start_connector(), new_phone())
    wait_until(lambda: stage.flush.flushed, "a flush")
    assert stage.flush.flushed == [account]
    assert len(stage.flush.calls) == 3
    verifier = TokenVerifier(audience=stage.flush.url, service_account=CONNECTOR_ACCOUNT, certs_url=stage.certs_url)
    stage.flush.check_callers(verifier)


@pytest.mark.parametrize("kind", [CommandKind.PAIR_QR, CommandKind.PAIR_CODE])
def test_a_code_that_nobody_uses_expires_and_is_erased(stage: Stage, kind: CommandKind) -> None:
    """Of QR codes the sixth: WhatsApp gives no more."""
    connector, account = stage.start_connector(wait=True, **stage.short_codes(0.4)), stage.create_account()
    stage.command(connector, account, kind, new_phone())
    stage.await_status(account, "qr_ready")
    expired = stage.await_status(account, "needs_qr")
    assert expired["lastError"].startswith("pairing_expired: ")
    assert codes_of(stage.private_state(account)) == [None] * 4
    assert stage.alerts(account) == []


def test_each_qr_code_is_replaced_by_the_next_one(stage: Stage) -> None:
    connector, account = stage.start_connector(wait=True, **stage.short_codes(1.0)), stage.create_account()
    first = stage.shown_qr(connector, account)
    first_url = stage.private_state(account)["qrCodeDataUrl"]
    wait_until(lambda: stage.private_state(account)["qrCodeDataUrl"] not in (None, first_url), "the next code")
    assert first not in connector.child.log_text()


def test_a_code_is_erased_though_the_engine_never_says_that_it_expired(stage: Stage) -> None:
    slowly = {"TIME_SCALE": "1"}  # else the silent engine is killed before the code's time is over
    connector = stage.start_connector(wait=True, **slowly, **stage.short_codes(0.5))
    account = stage.create_account()
    stage.command(connector, account, CommandKind.PAIR_CODE, new_phone())
    stage.await_status(account, "qr_ready")
    with stage.frozen_engine(connector):
        assert stage.await_status(account, "needs_qr")["lastError"].startswith("pairing_expired: ")
        assert codes_of(stage.private_state(account)) == [None] * 4


def test_a_code_does_not_outlive_its_connector(stage: Stage) -> None:
    connector, account = stage.start_connector(), stage.create_account()
    stage.shown_qr(connector, account)
    stage.kill(connector)
    stage.start_connector()
    stage.await_status(account, "needs_qr")
    assert codes_of(stage.private_state(account)) == [None] * 4


def test_a_pairing_that_whatsapp_refuses_says_so(shared: Shared) -> None:
    stage, connector, account = shared.stage, shared.connector, shared.stage.create_account()
    stage.shown_qr(connector, account)
    stage.network.fail_pairing(account)
    failed = stage.await_status(account, "needs_qr")
    assert failed["lastError"] == "pairing_failed: WhatsApp refused: disconnected"
    assert codes_of(stage.private_state(account)) == [None] * 4


def test_a_passkey_that_failed_is_told_with_what_to_do() -> None:
    for reason in ("passkey_refused", "passkey_cut_off", "passkey_failed"):
        assert "pair again" in refusal_in_words(reason)
        assert "remove the passkey" in refusal_in_words(reason)
    assert "keep WhatsApp open on the phone" in refusal_in_words("passkey_unconfirmed")
    assert refusal_in_words("refused") == "WhatsApp refused: refused"


def test_the_accounts_own_number_is_known_in_the_form_that_whatsapp_gives_it(shared: Shared) -> None:
    """Brazil: WhatsApp keeps old accounts without the ninth digit."""
    stage, connector = shared.stage, shared.connector
    account = stage.create_account(phone="+5541988887777")
    stage.scan("+554188887777", account, stage.shown_qr(connector, account))
    assert stage.await_connected(account)["phoneE164"] == "+554188887777"


def test_another_number_is_refused_and_unlinked_with_one_alert(shared: Shared) -> None:
    ours, stranger = new_phone(), new_phone()
    stage, connector, account = shared.stage, shared.connector, shared.stage.create_account(phone=ours)
    for _ in range(2):
        stage.scan(stranger, account, stage.shown_qr(connector, account))
        refused = stage.await_status(account, "error")
        assert refused["lastError"].startswith("other_number: ")
        assert refused["phoneE164"] == ours
        wait_until(lambda: not stage.is_linked(account), "the link is removed")
    wait_until(lambda: [alert["count"] for alert in stage.alerts(account)] == [2], "one alert, which counts")
    (alert,) = stage.alerts(account)
    assert alert["type"] == "other_number"
    assert account not in stage.flush.flushed

    stage.pair(connector, account, ours)
    assert stage.account(account)["lastError"] is None


def test_a_message_to_another_number_never_becomes_the_accounts(shared: Shared) -> None:
    ours, stranger, theirs = new_phone(), new_phone(), new_phone()
    stage, connector, account = shared.stage, shared.connector, shared.stage.create_account(phone=ours)
    stage.network.add_contact(theirs, "Ana")
    qr = stage.shown_qr(connector, account)
    connector.freeze()  # the link and the message come together
    stage.scan(stranger, account, qr)
    stage.network.write(theirs, stranger, "for the stranger")
    connector.thaw()
    wait_until(lambda: not stage.is_linked(account), "the link is removed")
    stage.pair(connector, account, ours)
    whatsapp_id = stage.network.write(theirs, ours, "for us")
    stage.await_row(account, f"{whatsapp_id}-in")
    stage.await_acknowledged(account)
    assert list(stage.rows(account)) == [f"{whatsapp_id}-in"]


def test_what_came_before_another_numbers_link_is_not_lost(stage: Stage) -> None:
    """The link is found when the session is opened; the messages of before it are not acknowledged yet."""
    ours, theirs = new_phone(), new_phone()
    first = stage.start_connector()
    account = stage.paired_account(first, ours)
    stage.network.add_contact(theirs, "Ana")
    first.freeze()
    whatsapp_id = stage.network.write(theirs, ours, "before the other link")
    wait_until(lambda: stage.unacknowledged(account) == 1, "the engine has it")
    stage.kill(first)
    # As if another phone had been linked since: the number that the account is known to have is not the link's.
    stage.db.collection(schema.ACCOUNTS).document(account).update({"phoneE164": new_phone()})

    stage.start_connector()
    wait_until(lambda: not stage.is_linked(account), "the link is removed")
    stage.await_row(account, f"{whatsapp_id}-in")
    stage.await_acknowledged(account)
    assert stage.account(account)["lastError"].startswith("other_number: ")
    assert [(alert["type"], alert["count"]) for alert in stage.alerts(account)] == [("other_number", 1)]


def test_an_account_that_is_linked_is_not_paired_again(shared: Shared) -> None:
    stage, connector = shared.stage, shared.connector
    account = stage.paired_account(connector, new_phone())
    stage.command(connector, account, CommandKind.PAIR_QR)
    wait_until(lambda: stage.account(account)["lastError"], "an error")
    document = stage.account(account)
    assert document["lastError"].startswith("pairing_failed: ")
    assert document["status"] == "connected"


def test_a_super_admin_logs_out_and_pairs_the_same_number_again(shared: Shared) -> None:
    stage, connector, ours = shared.stage, shared.connector, new_phone()
    account = stage.paired_account(connector, ours)
    stage.command(connector, account, CommandKind.LOGOUT)
    out = stage.await_status(account, "needs_qr")
    assert out["lastError"].startswith("logged_out: ")
    assert out["phoneE164"] == ours
    assert not stage.is_linked(account)
    assert stage.alerts(account) == []
    stage.pair(connector, account, ours)


def test_a_command_is_carried_out_once(shared: Shared) -> None:
    stage, connector, account = shared.stage, shared.connector, shared.stage.create_account()
    stage.shown_qr(connector, account)
    assert stage.lease(account).command is None
    first = stage.private_state(account)["qrCodeDataUrl"]
    for _ in range(5):
        connector.poke(account)
    stays(lambda: stage.private_state(account)["qrCodeDataUrl"] == first, "paired anew by a poke", 1.0)


def test_a_command_that_came_before_any_owner_is_carried_out_by_the_first(stage: Stage) -> None:
    account = stage.create_account()
    stage.command(None, account, CommandKind.PAIR_QR)
    stage.start_connector()
    stage.await_status(account, "qr_ready")


def test_a_logout_whose_owner_was_killed_is_carried_out_by_the_next_who_tells_whatsapp(stage: Stage) -> None:
    """Who has just claimed the account holds no session yet, and only one that is connected can be removed at WhatsApp."""
    first, ours = stage.start_connector(), new_phone()
    account = stage.paired_account(first, ours)
    stage.kill_and_expire(first, account)
    stage.command(None, account, CommandKind.LOGOUT)
    stage.start_connector()
    out = stage.await_status(account, "needs_qr")
    assert out["lastError"].startswith("logged_out: ")
    assert not stage.is_linked(account)
    wait_until(lambda: stage.lease(account).command is None, "the command is cleared")
