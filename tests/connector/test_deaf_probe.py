"""A silent session whose question WhatsApp does not answer is opened anew at once; over the wire, where questions can stay unanswered."""

from connector.silence import LEAST_SLOTS
from local.network.faults import FaultKind
from local.whatsapp import NetworkKind
from tests.connector.conftest import Shared
from tests.connector.stage import new_phone
from tests.connector.test_deaf_session import alerts, hearing, opened_again, paused_account, put_hearing
from tests.connector.test_engine_process import logged
from tests.waiting import wait_until

NETWORKS = (NetworkKind.REAL,)


def test_a_question_that_stays_unanswered_is_enough_at_half_of_a_deaf_silence(shared: Shared) -> None:
    stage, connector, ours = shared.stage, shared.connector, new_phone()
    account = paused_account(stage, connector, ours)
    put_hearing(stage, account, missed=LEAST_SLOTS / 2)
    fault = stage.network.fault(FaultKind.DELAY_BEFORE, account=ours, times=None, seconds=600)
    opened_again(stage, connector, account)
    wait_until(lambda: alerts(stage, account) == [("deaf", "warning", 1, True)], "the alert")
    stage.network.clear_faults(fault)
    (probed,) = (line for line in logged(connector, "silence_probed") if line["accountId"] == account)
    assert probed["answered"] is False
    stage.await_connected(account, degraded=True, reconnectCount=1)
    wait_until(lambda: hearing(stage, account)["resetsInVain"] == 1, "the next owner would know")
