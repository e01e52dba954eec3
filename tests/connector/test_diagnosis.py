"""A connector's diagnosis report: its versions, what it can reach, and how the functions answer its call."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from core import contract, release
from core.account import NEVER
from local import ports
from local.go import ENGINE
from local.identity_server import FUNCTIONS_ACCOUNT
from local.whatsapp import NetworkKind
from tests.connector.stage import Connector, Stage
from tests.waiting import wait_until

NETWORKS = tuple(NetworkKind)
STORES = {NetworkKind.SIMULATED: "simulated", NetworkKind.REAL: "sqlite"}


def diagnosed(connector: Connector) -> dict[str, Any]:
    response = connector.post("/v1/diagnose")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def whatsmeow_pin() -> str:
    (line,) = (line for line in (ENGINE / "go.mod").read_text().splitlines() if "go.mau.fi/whatsmeow " in line)
    return line.split()[1]


def test_it_says_what_it_runs_and_what_it_reaches(stage: Stage) -> None:
    connector = stage.start_connector()
    wait_until(lambda: connector.get("/readyz").status_code == 200, "the engine serves")
    before = datetime.now(UTC)
    found = diagnosed(connector)
    assert (found["version"], found["build"], found["contract"]) == (
        release.VERSION,
        release.build(),
        contract.VERSION,
    )
    assert found["workerId"] == connector.worker
    assert found["publicEndpoint"] == connector.url
    assert found["functionsServiceAccount"] == FUNCTIONS_ACCOUNT
    assert found["flushUrl"] == stage.flush.url
    assert found["ready"] == {"firestore": True, "engine": True, "takesWork": True}
    assert found["engine"]["outcome"] == "answered"
    assert found["engine"]["whatsmeow"] == ("simulated" if stage.kind is NetworkKind.SIMULATED else whatsmeow_pin())
    assert (found["store"]["outcome"], found["store"]["kind"]) == ("writable", STORES[stage.kind])
    assert before - timedelta(seconds=1) < datetime.fromisoformat(found["time"]) < datetime.now(UTC)
    assert found["tookS"] > 0
    assert found["flush"]["outcome"] == "answered"


def test_a_diagnosis_flushes_no_account(stage: Stage) -> None:
    diagnosed(stage.start_connector())
    assert stage.flush.flushed == []


def test_it_says_that_the_functions_refuse_it_or_cannot_be_reached(stage: Stage) -> None:
    connector = stage.start_connector()
    stage.flush.refusals = 1
    assert diagnosed(connector)["flush"] == {"outcome": "refused", "status": 503, "code": None}
    alone = stage.start_connector(FLUSH_URL=f"http://127.0.0.1:{ports.free_port()}/flush")
    assert diagnosed(alone)["flush"] == {"outcome": "unreachable"}


def test_it_says_that_its_engine_is_silent(stage: Stage) -> None:
    connector = stage.start_connector()
    wait_until(lambda: connector.get("/readyz").status_code == 200, "the engine serves")
    with stage.frozen_engine(connector):
        found = diagnosed(connector)
    assert found["engine"] == {"outcome": "unreachable"}
    assert found["store"] == {"outcome": "no_engine"}


def test_it_names_no_account(stage: Stage) -> None:
    connector = stage.start_connector()
    account = stage.create_account()
    connector.poke(account)
    wait_until(lambda: stage.lease(account).lease_until > NEVER, "the account is owned")
    assert account not in json.dumps(diagnosed(connector))
