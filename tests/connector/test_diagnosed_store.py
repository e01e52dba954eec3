"""What a connector's diagnosis report says about the PostgreSQL of its engine."""

import json

from local import postgres
from local.processes import Processes
from local.whatsapp import NetworkKind
from tests.connector.stage import Connector, Stage
from tests.connector.test_diagnosis import diagnosed
from tests.waiting import wait_until

NETWORKS = (NetworkKind.REAL,)
"""The simulated engine has no store of its own."""


def await_store(connector: Connector, outcome: str) -> None:
    wait_until(lambda: diagnosed(connector)["store"]["outcome"] == outcome, f"the store is {outcome}")


def test_it_names_the_databases_version_and_not_its_address(stage: Stage, processes: Processes) -> None:
    with postgres.running(processes) as store:
        connector = stage.start_connector(ENGINE_STORE=store.dsn)
        await_store(connector, "writable")
        found = diagnosed(connector)
        assert found["store"]["kind"] == "postgres"
        assert found["store"]["version"] == store.query("SHOW server_version").strip()
        assert str(store.folder) not in json.dumps(found)


def test_it_says_that_the_database_takes_no_writes_or_does_not_answer(stage: Stage, processes: Processes) -> None:
    with postgres.running(processes) as store:
        connector = stage.start_connector(ENGINE_STORE=store.dsn)
        await_store(connector, "writable")
        store.query("ALTER SYSTEM SET default_transaction_read_only = on")
        store.query("SELECT pg_reload_conf()")
        await_store(connector, "read_only")
        processes.stop(store.child)
        await_store(connector, "unreachable")
        assert diagnosed(connector)["store"] == {"outcome": "unreachable", "kind": "postgres", "version": ""}
