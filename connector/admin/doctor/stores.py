"""Checks what each connector can reach: Firestore, its engine, and through the engine the session store."""

from collections.abc import Sequence

from connector.admin.context import firestore_emulator
from connector.admin.doctor.check import Check, Finding, Need, ok, wrong
from connector.admin.doctor.patient import Patient
from connector.admin.doctor.report import Connector

_REPORT = frozenset({Need.REPORT})
_PARTS = {
    "firestore": (
        "the connector cannot reach Firestore",
        "Look at roles/datastore.user of the connector's account, and at its log.",
    ),
    "engine": ("its engine is not ready", "Read the connector's log (engine_failed, start_failed)."),
    "takesWork": ("it is stopping", "Wait for the new instance; if it stays, look at the service's revisions."),
}


def _ready(patient: Patient) -> Sequence[Finding]:
    found: list[Finding] = []
    for connector in patient.report.answering:
        missing = [part for part in _PARTS if connector.ready.get(part) is not True]
        found += [wrong(*_PARTS[part], about=connector.endpoint) for part in missing]
        if not missing:
            found.append(ok("reaches Firestore and its engine, and accepts work", about=connector.endpoint))
    return found


def _stores(patient: Patient) -> Sequence[Finding]:
    return [_store(connector) for connector in patient.report.answering]


def _store(connector: Connector) -> Finding:
    store, about = connector.store, connector.endpoint
    name = f"{_NAMES.get(str(store.get('kind')), 'the session store')} {store.get('version') or ''}".strip()
    match store.get("outcome"):
        case "writable" if store.get("kind") == "sqlite" and not firestore_emulator():
            return wrong(
                "the sessions are in a SQLite file, which is lost when the instance ends",
                "Set ENGINE_STORE to a PostgreSQL (docs/deploy.md), and pair the accounts again.",
                about=about,
            )
        case "writable":
            return ok(f"{name}, takes writes", about=about)
        case "read_only":
            return wrong(
                f"{name} takes no writes", "Make it the primary again, or point ENGINE_STORE at it.", about=about
            )
        case "unreachable":
            return wrong(
                f"{name} does not answer the engine",
                "Look whether the database runs, at roles/cloudsql.client of the connector's account, and at ENGINE_STORE.",
                about=about,
            )
        case "no_engine":
            return wrong("no engine that could ask the store", "See the engine of this connector.", about=about)
        case _:
            return wrong(
                "the engine is older: it cannot say how its store is",
                "Deploy the connector of this version (docs/rollout.md).",
                about=about,
            )


_NAMES = {"postgres": "PostgreSQL", "sqlite": "SQLite", "simulated": "the simulated network's store"}

CHECKS = (
    Check(name="a connector is ready", needs=_REPORT, examine=_ready),
    Check(name="session store", needs=_REPORT, examine=_stores),
)
