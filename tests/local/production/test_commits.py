"""What a commit is about is told from its writes, as the connector and the functions make them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud.firestore_v1 import types

from core import account, ids, merge, schema
from local.production import world as production
from local.production.commits import CommitKind, kinds_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LEASE = account.parse_lease(account.new_lease_document(NOW))
WORKER = ids.WorkerId("worker")

COMMITS: dict[str, tuple[list[tuple[str, str, dict[str, Any]]], set[CommitKind]]] = {
    "rows of the log": ([("create", f"{schema.INGEST}/one", {"processed": False})], {CommitKind.WAL}),
    "a row is processed": ([("update", f"{schema.INGEST}/one", {"processed": True})], set()),
    "a claim": (
        [
            ("update", f"{schema.LEASES}/shop", account.claim_fields(LEASE, WORKER, "http://x", NOW, 24.0)),
            ("update", f"{schema.ACCOUNTS}/shop", {"assignedWorkerId": "worker"}),
        ],
        {CommitKind.CLAIM},
    ),
    "a renewal": (
        [("update", f"{schema.LEASES}/shop", account.renewal_fields(NOW, 24.0))],
        {CommitKind.RENEWAL},
    ),
    "a release": ([("update", f"{schema.LEASES}/shop", account.release_fields(NOW))], {CommitKind.RELEASE}),
    "an account and its codes": (
        [
            ("update", f"{schema.ACCOUNTS}/shop", {"status": "qr_ready"}),
            ("merge", f"{schema.ACCOUNTS}/shop/{schema.PRIVATE}/{schema.PRIVATE_STATE}", {"pairingCode": "x"}),
        ],
        {CommitKind.ACCOUNT, CommitKind.PRIVATE},
    ),
    "a request is claimed": ([("update", f"{schema.OUTBOX}/one", {"status": "sending"})], {CommitKind.ATTEMPT}),
    "a request is sent, the next one claimed": (
        [
            ("update", f"{schema.OUTBOX}/one", {"status": "sent"}),
            ("update", f"{schema.OUTBOX}/two", {"status": "sending"}),
        ],
        {CommitKind.OUTCOME, CommitKind.ATTEMPT},
    ),
    "a thread becomes part of another one": (
        [
            ("update", f"{schema.INGEST}/one", {"processed": True}),
            ("create", f"{schema.THREADS}/lid", {"mergedInto": None}),
            ("update", f"{schema.THREADS}/number", merge.absorbed_fields(ids.ThreadId("lid"), NOW)),
        ],
        {CommitKind.MERGE},
    ),
}


@pytest.mark.parametrize("what", COMMITS)
def test_a_commit_is_told_by_its_writes(what: str) -> None:
    writes, kinds = COMMITS[what]
    client = production.emulator_client("127.0.0.1:1")
    batch = client.batch()
    for change, path, fields in writes:
        document = client.document(path)
        match change:
            case "create":
                batch.create(document, fields)
            case "update":
                batch.update(document, fields)
            case _:
                batch.set(document, fields, merge=True)
    commit = types.CommitRequest(writes=batch._write_pbs)
    assert kinds_of(types.CommitRequest.serialize(commit)) == kinds
    client.close()
