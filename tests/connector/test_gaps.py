"""Messages that are missing after a connect: the account says so, the phone is asked, and the gap closes when they stand."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import schema
from core.account import CommandKind
from core.ids import AccountId
from local.network.contacts import Addressing, lid_of
from local.network.faults import FaultKind
from local.whatsapp import NetworkKind
from tests.connector.conftest import Shared
from tests.connector.stage import Connector, Stage, new_phone
from tests.waiting import wait_until

NETWORKS = tuple(NetworkKind)
WHOLE = {"degraded": False, "degradedReason": None, "syncGapStartAt": None, "syncGapEndAt": None}


@dataclass(frozen=True, kw_only=True)
class Paired:
    """An account that is connected, and a contact who has written to it once."""

    stage: Stage
    connector: Connector
    account: AccountId
    ours: str
    ana: str

    def write(self, *texts: str) -> list[str]:
        return [f"{self.stage.network.write(self.ana, self.ours, text=text)}-in" for text in texts]

    def disconnect(self) -> None:
        self.stage.network.disconnect(self.ours)
        self.stage.await_status(self.account, "reconnecting")

    def reconnect(self) -> None:
        self.stage.network.reconnect(self.ours)
        self.stage.await_connected(self.account)

    def fault(self, kind: FaultKind, *, times: int | None = 1) -> int:
        contact = None if kind is FaultKind.PHONE_OFF else self.ana
        account = self.ours if kind is FaultKind.PHONE_OFF else None
        return self.stage.network.fault(kind, contact=contact, account=account, times=times)

    def await_gap(self, reason: str) -> Mapping[str, Any]:
        return wait_until(
            lambda: (found := self.stage.account(self.account))["degradedReason"] == f"gap: {reason}" and found,
            f"a gap: {reason}",
        )

    def await_whole(self) -> None:
        wait_until(self.is_whole, "the account is whole")

    def is_whole(self) -> bool:
        return WHOLE.items() <= self.stage.account(self.account).items()

    def alerts(self) -> list[tuple[str, int, bool]]:
        """Type, count, and whether it is open."""
        found = self.stage.alerts(self.account)
        return [(alert["type"], alert["count"], alert["resolvedAt"] is None) for alert in found]


@pytest.fixture(scope="module")
def module_connector(module_stage: Stage) -> Connector:
    """One that takes the number that WhatsApp announces for certain."""
    return module_stage.start_connector(ANNOUNCED_GAPS="on")


@pytest.fixture
def paired(shared: Shared) -> Paired:
    ours, ana = new_phone(), new_phone()
    account = shared.stage.paired_account(shared.connector, ours)
    shared.stage.network.add_contact(ana, "Ana")
    found = Paired(stage=shared.stage, connector=shared.connector, account=account, ours=ours, ana=ana)
    (first,) = found.write("the first")
    shared.stage.await_row(account, first)
    shared.stage.await_acknowledged(account)
    return found


def test_an_announced_message_that_never_came_is_told_asked_for_and_the_gap_closes_when_it_stands(
    paired: Paired,
) -> None:
    stage, account = paired.stage, paired.account
    off = paired.fault(FaultKind.PHONE_OFF, times=None)
    (first,) = stage.rows(account).values()
    paired.disconnect()
    paired.fault(FaultKind.LOSE_BACKLOG)
    lost, second, third = paired.write("lost", "second", "third")
    before = datetime.now(UTC) - timedelta(milliseconds=1)  # the engine counts these
    paired.reconnect()
    gap = paired.await_gap("1 message announced by WhatsApp never came")
    assert gap["degraded"] is True
    assert gap["syncGapStartAt"] == first["receivedAt"]
    assert before <= gap["syncGapEndAt"] <= datetime.now(UTC)
    wait_until(paired.alerts, "an alert")
    assert paired.alerts() == [("gap", 1, True)]
    assert stage.account(account)["status"] == "connected"
    assert lost not in stage.rows(account)

    stage.network.clear_faults(off)
    assert stage.await_row(account, lost)["payload"]["text"] == "lost"
    paired.await_whole()
    wait_until(lambda: paired.alerts() == [("gap", 1, False)], "the alert is resolved")
    assert set(stage.rows(account)) == {first["waMessageKey"], lost, second, third}
    stage.await_acknowledged(account)


def test_a_message_that_cannot_be_decrypted_is_a_gap_until_the_phone_hands_it_over(paired: Paired) -> None:
    stage, account = paired.stage, paired.account
    off = paired.fault(FaultKind.PHONE_OFF, times=None)
    paired.disconnect()
    paired.fault(FaultKind.UNREADABLE)
    unreadable, known = paired.write("unreadable", "known")
    paired.reconnect()
    stage.await_row(account, known)
    paired.await_gap("1 message could not be decrypted")
    wait_until(paired.alerts, "an alert")
    stage.network.clear_faults(off)
    stage.await_row(account, unreadable)
    paired.await_whole()
    wait_until(lambda: paired.alerts() == [("gap", 1, False)], "the alert is resolved")


@pytest.mark.parametrize(
    ("announced", "arrives"),
    [
        (Addressing.NUMBER_ONLY, Addressing.LID),
        (Addressing.NUMBER_ONLY, Addressing.LID_ONLY),
        (Addressing.LID_ONLY, Addressing.NUMBER_ONLY),
    ],
)
def test_a_message_that_was_awaited_under_one_name_and_comes_under_the_other_closes_the_gap(
    paired: Paired, announced: Addressing, arrives: Addressing
) -> None:
    paired = replace(paired, ana=new_phone())  # a contact of whom nothing is known yet
    stage, account = paired.stage, paired.account
    stage.network.add_contact(paired.ana, "Ana", addressing=announced)
    off = paired.fault(FaultKind.PHONE_OFF, times=None)
    paired.fault(FaultKind.UNREADABLE)
    unreadable, known = paired.write("unreadable", "known")
    stage.await_row(account, known)
    paired.await_gap("1 message could not be decrypted")
    (awaited,) = stage.private_state(account)["syncGap"]["awaited"]
    stage.network.add_contact(paired.ana, "Ana", addressing=arrives)
    stage.network.clear_faults(off)
    row = stage.await_row(account, unreadable)
    if announced is Addressing.NUMBER_ONLY:
        assert f"{account}_{row['chatId']}_{unreadable}" != awaited
    paired.await_whole()
    wait_until(lambda: paired.alerts() == [("gap", 1, False)], "the alert is resolved")
    assert stage.private_state(account)["syncGap"] is None


def test_the_next_owner_finds_a_message_that_came_under_the_other_name_while_nobody_looked(stage: Stage) -> None:
    ours, ana, first = new_phone(), new_phone(), stage.start_connector()
    account = stage.paired_account(first, ours)
    stage.network.add_contact(ana, "Ana", addressing=Addressing.NUMBER_ONLY)
    paired = Paired(stage=stage, connector=first, account=account, ours=ours, ana=ana)
    paired.fault(FaultKind.PHONE_OFF, times=None)
    paired.fault(FaultKind.UNREADABLE)
    unreadable, known = paired.write("unreadable", "known")
    stage.await_row(account, known)
    paired.await_gap("1 message could not be decrypted")
    assert stage.stop(first) == 0
    came = stage.rows(account)[known] | {"waMessageKey": unreadable, "chatId": lid_of(ana)}
    stage.db.collection(schema.INGEST).document(f"{account}_{lid_of(ana)}_{unreadable}").create(came)
    stage.start_connector(wait=False)
    paired.await_whole()
    wait_until(lambda: paired.alerts() == [("gap", 1, False)], "the alert is resolved")


def test_a_gap_that_a_person_closes_is_not_written_back_and_not_counted_into_the_next_one(paired: Paired) -> None:
    stage, account = paired.stage, paired.account
    paired.fault(FaultKind.PHONE_OFF, times=None)
    for count in (1, 2):
        paired.disconnect()
        paired.fault(FaultKind.LOSE_BACKLOG)
        paired.write("lost", "last")
        paired.reconnect()
        paired.await_gap("1 message announced by WhatsApp never came")
        wait_until(lambda: paired.alerts() == [("gap", count, True)], "an alert")  # noqa: B023 - called in this round
        stage.command(paired.connector, account, CommandKind.CLOSE_GAP)
        paired.await_whole()
        wait_until(lambda: paired.alerts() == [("gap", count, False)], "the alert is over")  # noqa: B023 - as above
        assert stage.private_state(account)["syncGap"] is None
    assert stage.account(account)["status"] == "connected"


def test_a_backlog_that_comes_whole_is_no_gap(paired: Paired) -> None:
    """Nor are receipts, nor what comes twice."""
    stage, account = paired.stage, paired.account
    paired.disconnect()
    paired.fault(FaultKind.REPEAT)
    written = paired.write("one", "two", "three")
    stage.network.send_receipt(paired.ana, paired.ours, ["SOMETHING"], "delivered")
    paired.reconnect()
    for key in written:
        stage.await_row(account, key)
    stage.await_acknowledged(account)
    assert paired.is_whole()
    assert stage.private_state(account).get("syncGap") is None, "nothing waits to be told"
    assert paired.alerts() == []


def test_last_synced_names_the_last_row_that_stands(paired: Paired) -> None:
    stage, account = paired.stage, paired.account
    paired.disconnect()
    paired.fault(FaultKind.LOSE_BACKLOG)
    (_,) = paired.write("lost")
    (last,) = paired.write("last")
    paired.reconnect()
    row = stage.await_row(account, last)
    wait_until(lambda: stage.account(account)["lastSyncedKey"] == last, "the heartbeat says so")
    assert stage.account(account)["lastSyncedAt"] == row["receivedAt"]


def test_a_connector_that_is_killed_leaves_the_gap_to_the_next_owner_who_counts_it_once(stage: Stage) -> None:
    ours, ana, first = new_phone(), new_phone(), stage.start_connector(ANNOUNCED_GAPS="on")
    account = stage.paired_account(first, ours)
    stage.network.add_contact(ana, "Ana")
    known = f"{stage.network.write(ana, ours, text='known')}-in"
    stage.await_row(account, known)
    off = stage.network.fault(FaultKind.PHONE_OFF, account=ours, times=None)
    stage.network.disconnect(ours)
    stage.await_status(account, "reconnecting")
    stage.network.fault(FaultKind.LOSE_BACKLOG, contact=ana)
    lost = f"{stage.network.write(ana, ours, text='lost')}-in"
    stage.network.write(ana, ours, text="last")
    stage.network.reconnect(ours)
    wait_until(lambda: stage.private_state(account).get("syncGap"), "the gap is noted")
    second = stage.start_connector(wait=False, ANNOUNCED_GAPS="on")
    stage.kill_and_expire(first, account)
    wait_until(lambda: stage.lease(account).owner == second.worker, "the next owner")
    stage.await_connected(account)
    assert stage.account(account)["degradedReason"] == "gap: 1 message announced by WhatsApp never came"
    stage.network.clear_faults(off)
    stage.await_row(account, lost)
    wait_until(lambda: WHOLE.items() <= stage.account(account).items(), "the account is whole")
    assert stage.private_state(account)["syncGap"] is None


def test_a_message_that_was_only_announced_is_counted_and_raises_nothing_unless_it_is_asked_for(stage: Stage) -> None:
    """A message that could not be decrypted opens a gap all the same, and the gap names it alone."""
    ours, ana, connector = new_phone(), new_phone(), stage.start_connector()
    account = stage.paired_account(connector, ours)
    stage.network.add_contact(ana, "Ana")
    paired = Paired(stage=stage, connector=connector, account=account, ours=ours, ana=ana)
    off = paired.fault(FaultKind.PHONE_OFF, times=None)
    paired.disconnect()
    paired.fault(FaultKind.LOSE_BACKLOG)
    _, second, _ = paired.write("lost", "second", "third")
    paired.reconnect()
    stage.await_row(account, second)
    wait_until(lambda: connector.metric("connector_backlog_lost_total") == 1, "the lost message is counted")
    assert connector.metric("connector_backlog_announced_total") == 3
    stage.await_acknowledged(account)
    assert stage.private_state(account).get("syncGap") is None, "nothing waits to be told"

    paired.fault(FaultKind.UNREADABLE)
    unreadable, known = paired.write("unreadable", "known")
    stage.await_row(account, known)
    paired.await_gap("1 message could not be decrypted")
    stage.network.clear_faults(off)
    stage.await_row(account, unreadable)
    paired.await_whole()
    assert [(kind, count) for kind, count, _ in paired.alerts()] == [("gap", 1)]


def test_a_gap_that_an_owner_before_noted_of_the_announced_number_ends_when_that_number_is_not_trusted_any_more(
    stage: Stage,
) -> None:
    ours, ana, first = new_phone(), new_phone(), stage.start_connector(ANNOUNCED_GAPS="on")
    account = stage.paired_account(first, ours)
    stage.network.add_contact(ana, "Ana")
    paired = Paired(stage=stage, connector=first, account=account, ours=ours, ana=ana)
    paired.fault(FaultKind.PHONE_OFF, times=None)
    paired.disconnect()
    paired.fault(FaultKind.LOSE_BACKLOG)
    paired.write("lost", "last")
    paired.reconnect()
    paired.await_gap("1 message announced by WhatsApp never came")
    assert stage.stop(first) == 0
    stage.start_connector(wait=False)
    paired.await_whole()
    wait_until(lambda: paired.alerts() == [("gap", 1, False)], "the alert is resolved")
    assert stage.private_state(account)["syncGap"] is None
