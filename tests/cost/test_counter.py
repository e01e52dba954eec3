"""The counter bills what Firestore bills: held against calls of the client library whose price is known."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from google.cloud.firestore import Client
from google.cloud.firestore_v1.base_query import FieldFilter

from backend.stores import Stores
from core import schema
from core.ids import ThreadId
from local import ports
from local.processes import Processes, printed
from local.production.clients import FirestoreCounter
from local.production.firestore_counter import Operation
from local.production.world import emulator_client
from local.project import PYTHONPATH

COLLECTION = "counted"


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Two clients, each by a port of its own."""

    ana: Client
    ion: Client
    counter: FirestoreCounter

    def counts(self) -> Counter[tuple[str, str]]:
        counted = [count for count in self.counter.counts() if count.collection == COLLECTION]
        return Counter({(count.client, str(count.operation)): count.count for count in counted})

    def reads_of(self, client: str, collection: str) -> int:
        wanted = (client, Operation.READ, collection)
        return sum(c.count for c in self.counter.counts() if (c.client, c.operation, c.collection) == wanted)

    def cost_of(self, call: Callable[[], object]) -> dict[tuple[str, str], int]:
        before = self.counts()
        call()
        return dict(self.counts() - before)


@pytest.fixture(scope="module")
def counted(processes: Processes, firestore_emulator: str) -> Iterator[Counted]:
    ana, ion, control = ports.free_port(), ports.free_port(), ports.free_port()
    arguments = ["--client", f"ana={ana}", "--client", f"ion={ion}", "--control-port", control]
    processes.start(
        "counter",
        [
            sys.executable,
            "-m",
            "local.production.firestore_counter",
            *map(str, arguments),
            "--firestore",
            firestore_emulator,
        ],
        environment={"PYTHONPATH": PYTHONPATH},
        ready=printed("ready "),
    )
    with (
        closing(emulator_client(f"{ports.HOST}:{ana}")) as first,
        closing(emulator_client(f"{ports.HOST}:{ion}")) as other,
    ):
        yield Counted(ana=first, ion=other, counter=FirestoreCounter(control))


def test_each_write_of_a_commit_and_each_delete_is_billed_to_its_client(counted: Counted) -> None:
    collection = counted.ana.collection(COLLECTION)

    def write() -> None:
        batch = counted.ana.batch()
        batch.create(collection.document("one"), {"n": 1})
        batch.set(collection.document("two"), {"n": 2})
        batch.update(collection.document("two"), {"n": 3})
        batch.delete(collection.document("three"))
        batch.commit()

    assert counted.cost_of(write) == {("ana", Operation.WRITE): 3, ("ana", Operation.DELETE): 1}
    assert counted.cost_of(lambda: counted.ion.collection(COLLECTION).document("one").update({"n": 2})) == {
        ("ion", Operation.WRITE): 1
    }


def test_a_document_that_does_not_exist_is_a_read(counted: Counted) -> None:
    collection = counted.ana.collection(COLLECTION)
    collection.document("there").set({"n": 1})
    found = [collection.document("there"), collection.document("not-there")]
    assert counted.cost_of(lambda: list(counted.ana.get_all(found))) == {("ana", Operation.READ): 2}
    assert counted.cost_of(collection.document("not-there").get) == {("ana", Operation.READ): 1}


def test_a_call_for_one_document_is_a_read_whether_or_not_it_exists(counted: Counted) -> None:
    collection = counted.ana.collection(schema.THREADS)
    collection.document("there").set({"threadId": "there"})
    for name, exists in (("there", True), ("not-there", False)):
        before = counted.reads_of("ana", schema.THREADS)
        assert (Stores(counted.ana).thread(ThreadId(name)) is not None) is exists
        assert counted.reads_of("ana", schema.THREADS) - before == 1


def test_a_query_costs_its_documents_and_at_least_one_read(counted: Counted) -> None:
    collection = counted.ion.collection(COLLECTION)
    for number in range(3):
        collection.document(f"of-a-query-{number}").set({"queried": number})
    some = collection.where(filter=FieldFilter("queried", ">", 0))
    none = collection.where(filter=FieldFilter("queried", ">", 10))
    assert counted.cost_of(some.get) == {("ion", Operation.READ): 2}
    assert counted.cost_of(none.get) == {("ion", Operation.READ): 1}


def test_what_has_no_price_here_is_not_taken_for_free(counted: Counted) -> None:
    counted.ana.collection(COLLECTION).count().get()
    assert any(count.operation is Operation.NOT_UNDERSTOOD for count in counted.counter.counts())
