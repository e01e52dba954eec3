"""What a run of the sweeper reads when nothing is to do: it comes each minute, whatever the number of accounts."""

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from backend.services import Services
from backend.settings import read_settings
from local import emulator, ports
from local.processes import Processes, printed
from local.production.clients import FirestoreCounter
from local.production.firestore_counter import Operation
from local.project import PROJECT_ID, PYTHONPATH

IDLE_READS = 8
"""One a query: rows, parked rows, requests, codes, paused leases of dead owners, leases without an owner, leases that flap, open alerts (docs/cost.md)."""


@pytest.fixture
def counted(own_processes: Processes) -> Iterator[tuple[Services, FirestoreCounter]]:
    """The workflows on a Firestore of their own, which holds nothing."""
    firestore, port, control = ports.free_port(), ports.free_port(), ports.free_port()
    emulator.start_firestore(own_processes, firestore)
    arguments = ["--client", f"sweep={port}", "--control-port", control, "--firestore", f"{ports.HOST}:{firestore}"]
    own_processes.start(
        "counter",
        [sys.executable, "-m", "local.production.firestore_counter", *map(str, arguments)],
        environment={"PYTHONPATH": PYTHONPATH},
        ready=printed("ready "),
    )
    settings = read_settings(
        {
            "GOOGLE_CLOUD_PROJECT": PROJECT_ID,
            "CONNECTOR_ENDPOINTS": "http://127.0.0.1:1",
        }
    )
    services = Services(settings)
    with _firestore_at(f"{ports.HOST}:{port}"):
        db = services.stores.db  # the client is made with its first use
    with closing(db):
        yield services, FirestoreCounter(control)


def test_a_run_without_anything_to_do_reads_one_document_a_query_and_writes_none(
    counted: tuple[Services, FirestoreCounter],
) -> None:
    services, counter = counted
    swept = services.sweep.run()
    assert (swept.failed, swept.opened) == (0, 0)
    assert {operation: count for operation, count in _totals(counter).items() if count} == {Operation.READ: IDLE_READS}


def _totals(counter: FirestoreCounter) -> dict[Operation, int]:
    counts = counter.counts()
    return {each: sum(count.count for count in counts if count.operation == each) for each in Operation}


@contextmanager
def _firestore_at(address: str) -> Iterator[None]:
    before = os.environ.get("FIRESTORE_EMULATOR_HOST")
    os.environ["FIRESTORE_EMULATOR_HOST"] = address
    try:
        yield
    finally:
        if before is None:
            del os.environ["FIRESTORE_EMULATOR_HOST"]
        else:
            os.environ["FIRESTORE_EMULATOR_HOST"] = before
