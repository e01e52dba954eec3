"""The doctor on a healthy deployment, and on really broken ones: the check for the fault finds it, and no other check finds anything."""

import shutil
from pathlib import Path

import pytest

from core import release, schema
from local import ports
from local.identity_server import CONNECTOR_ACCOUNT, FUNCTIONS_ACCOUNT
from local.postgres import Postgres, start_again
from local.project import ROOT
from tests.doctor.deployed import Deployed
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

CALLED = "functions call a connector"
CALLS = "a connector calls the functions"
OTHER = "other@demo-threadline.iam.gserviceaccount.com"


def test_a_deployment_that_is_well_has_nothing_wrong(deployed: Deployed) -> None:
    found = deployed.examined()
    if found.status == 2:  # the first round trips were too slow to tell a clock by
        found = deployed.examined()
    assert (found.status, found.complaint, found.wrong()) == (0, "", {})
    endpoints = {worker.endpoint for worker in deployed.world.workers}
    for check in (CALLED, CALLS, "version of a connector", "engine of a connector", "session store"):
        assert {(row["about"], row["result"]) for row in found.of(check)} == {(each, "ok") for each in endpoints}
    assert found.the("a message to a send job")["result"] == "ok"
    assert "PostgreSQL" in found.of("session store")[0]["found"]


def test_it_leaves_nothing_behind(deployed: Deployed) -> None:
    deployed.examined()
    for collection in (schema.INGEST, schema.OUTBOX, schema.MESSAGES, schema.THREADS, schema.ALERTS, schema.ACCOUNTS):
        assert [each.id for each in deployed.db.collection(collection).stream()] == []


def test_the_table_says_it_in_words(deployed: Deployed) -> None:
    lines = deployed.admin.run("doctor").out.splitlines()
    assert lines[0].split() == ["CHECK", "RESULT", "FOUND"]
    assert any(line.startswith("ingest trigger") and " ok " in line for line in lines)


def test_a_connector_that_runs_as_another_account_is_found(deployed: Deployed) -> None:
    functions_identity = f"127.0.0.1:{deployed.world.ports.identity_functions}"
    with deployed.replaced(GCE_METADATA_HOST=functions_identity) as first:
        found = deployed.examined()
    assert found.status == 1
    assert found.wrong() == {CALLS: {first.endpoint}}
    assert f"roles/run.invoker to {CONNECTOR_ACCOUNT}" in found.the(CALLS, first.endpoint)["whatToDo"]


def test_a_connector_that_expects_other_callers_is_found(deployed: Deployed) -> None:
    with deployed.replaced(FUNCTIONS_SERVICE_ACCOUNT=OTHER) as first:
        found = deployed.examined()
    assert found.wrong() == {CALLED: {first.endpoint}}
    assert FUNCTIONS_ACCOUNT in found.the(CALLED, first.endpoint)["whatToDo"]


def test_a_connector_whose_leases_name_another_form_of_its_address_is_found(deployed: Deployed) -> None:
    other_form = deployed.first.endpoint.replace("127.0.0.1", "localhost")
    with deployed.replaced(PUBLIC_ENDPOINT=other_form) as first, deployed.owned_accounts(other_form):
        found = deployed.examined()
    assert found.wrong() == {
        "addresses in leases": {other_form},
        CALLED: {deployed.first.endpoint},  # the token is for the address that the functions have
    }
    assert "another URL form" in found.the("addresses in leases", other_form)["found"]
    assert first.endpoint == other_form


def test_a_connector_that_calls_another_flush_address_is_found(deployed: Deployed) -> None:
    with deployed.replaced(FLUSH_URL=f"http://127.0.0.1:{ports.free_port()}/flush") as first:
        found = deployed.examined()
    assert found.wrong() == {CALLS: {first.endpoint}, "settings of a connector": {first.endpoint}}


def test_a_connector_that_does_not_run_is_found(deployed: Deployed) -> None:
    with deployed.without_first():
        found = deployed.examined()
    assert found.wrong() == {CALLED: {deployed.first.endpoint}}
    said = found.the(CALLED, deployed.first.endpoint)["found"]
    assert "no instance" in said or "status 503" in said or "could not be reached" in said


def test_an_engine_that_never_answers_is_found(deployed: Deployed, tmp_path: Path) -> None:
    hanging = tmp_path / "wa-engine"
    hanging.write_text("#!/bin/sh\nexec sleep 3600\n")
    hanging.chmod(0o755)
    with deployed.replaced(ENGINE_BINARY=str(hanging), becomes_ready=False) as first:
        found = deployed.examined()
    assert found.wrong() == {
        "engine of a connector": {first.endpoint},
        "session store": {first.endpoint},  # nobody can ask it
        "a connector is ready": {first.endpoint},
    }


def test_a_clock_that_is_thirty_seconds_ahead_is_found(deployed: Deployed) -> None:
    with deployed.replaced(clock_ahead_s=30) as first:
        found = deployed.examined()
    assert found.wrong() == {"clock of a connector": {first.endpoint}}
    said = found.the("clock of a connector", first.endpoint)["found"]
    assert 27 < float(said.split()[0]) < 33


def test_functions_that_are_older_than_the_connector_are_found(deployed: Deployed, tmp_path: Path) -> None:
    newer = tmp_path / "functions"
    for package in ("core", "identity"):
        shutil.copytree(ROOT / "functions" / package, newer / package)
    source = newer / "core/release.py"
    source.write_text(source.read_text().replace(f'VERSION = "{release.VERSION}"', 'VERSION = "99.0.0"'))
    with deployed.replaced(PYTHONPATH=f"{ROOT}:{newer}") as first:
        found = deployed.examined()
    assert found.wrong() == {"version of a connector": {first.endpoint}}
    assert "newer than the functions" in found.the("version of a connector", first.endpoint)["found"]


def test_a_queue_that_dispatches_nothing_is_found(deployed: Deployed) -> None:
    deployed.world.tasks.pause()
    try:
        found = deployed.examined("--wait", "4")
    finally:
        deployed.world.tasks.resume()
    assert list(found.wrong()) == ["a message to a send job"]
    assert "no send job came" in found.the("a message to a send job")["found"]


def test_a_postgresql_that_is_down_is_found(deployed: Deployed, store: Postgres) -> None:
    deployed.processes.stop(store.child)
    try:
        found = deployed.examined()
    finally:
        start_again(deployed.processes, store)
    endpoints = {worker.endpoint for worker in deployed.world.workers}
    assert found.wrong() == {"session store": endpoints}
    for worker in deployed.world.workers:
        deployed.await_ready(worker)
    wait_until(lambda: deployed.examined().status == 0, "all is well again", 60)
