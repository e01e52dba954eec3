"""Answers the doctor's two canary documents: writes a report on the functions and on each connector into the row, and ends the request."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backend import log, queries
from backend.clock import now
from backend.connector_client import ConnectorClient, Diagnosed
from backend.settings import Settings
from backend.stores import Conflict, Stores
from core import contract, diagnosis, inbound, outbox, release, schema
from core.errors import ErrorCode, described
from core.inbound import DiagnosisAsked
from core.outbox import RequestStatus

_AT_ONCE = 16
_CANARIES = 10
"""How many canary requests one job ends at most. Several doctors can run at the same time."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Sends nothing, raises no alert, and changes no document but the canary that it was given."""

    stores: Stores
    connector: Callable[[], ConnectorClient]
    """Makes the client when a doctor asks, so that triggers need no CONNECTOR_ENDPOINTS for ordinary events."""
    settings: Settings

    def report(self, row: DiagnosisAsked, update_time: datetime) -> None:
        """Writes the report into the row. Does nothing if the event is delivered again, or if the doctor has deleted the row."""
        began_at, began = now(), time.monotonic()
        try:
            taken_at = self._take(row, update_time)
        except Conflict:
            return
        round_trip_s = time.monotonic() - began
        report = {
            **self._about_this_side(),
            # Firestore's time of the write lies within the round trip, so the middle of the round trip is wrong by half of it at most.
            "clockOffsetS": _seconds(began_at + timedelta(seconds=round_trip_s / 2) - taken_at),
            "clockUncertaintyS": round_trip_s / 2,
            "connectors": self._connectors(),
        }
        at = now()
        fields = {
            "payload.report": report,
            "processed": True,
            "processedAt": at,
            "expireAt": inbound.expire_at(at),
        }
        commit = self.stores.commit()
        commit.update(schema.INGEST, row.event_id, fields, at=taken_at)
        try:
            commit.run()
        except Conflict:
            return
        log.diagnosed(len(self.settings.connector_endpoints))

    def end_requests(self) -> None:
        """Ends the canary requests that have reached a send job. Idempotent."""
        for stored in self.stores.find(queries.queue_head(self.stores.db, [diagnosis.THREAD], _CANARIES)):
            detail = "the doctor's request has reached its send job; it is never sent"
            fields = outbox.finished_fields(RequestStatus.FAILED, described(ErrorCode.DIAGNOSED, detail), now())
            commit = self.stores.commit()
            commit.update(schema.OUTBOX, stored.id, fields, at=stored.update_time)
            try:
                commit.run()
            except Conflict:
                continue  # another job was faster, or its doctor has deleted it

    def _take(self, row: DiagnosisAsked, update_time: datetime) -> datetime:
        """Notes in the row that the trigger was called. Returns Firestore's time of that write. Raises Conflict."""
        commit = self.stores.commit()
        commit.update(schema.INGEST, row.event_id, {"processAttempts": 1}, at=update_time)
        (written_at,) = commit.run()
        return written_at

    def _about_this_side(self) -> dict[str, Any]:
        settings = self.settings
        return {
            **release.identification(),
            "contract": contract.VERSION,
            "connectorEndpoints": sorted(settings.connector_endpoints),
            "functionsServiceAccount": settings.functions_service_account,
            "connectorServiceAccount": settings.connector_service_account,
            "flushUrl": settings.flush_url,
        }

    def _connectors(self) -> list[dict[str, Any]]:
        """Asks all connectors in parallel, so that a silent one does not delay the others."""
        endpoints = sorted(self.settings.connector_endpoints)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self._ask, endpoints))

    def _ask(self, endpoint: str) -> dict[str, Any]:
        asked_at, began = now(), time.monotonic()
        answer = self.connector().diagnose(endpoint)
        round_trip_s = time.monotonic() - began
        found: dict[str, Any] = {"endpoint": endpoint, "outcome": str(answer.outcome)}
        if answer.outcome is not Diagnosed.ANSWERED:
            return found | {"status": answer.status, "code": answer.code}
        offset_s, uncertainty_s = _offset(answer.body, asked_at, round_trip_s)
        return found | {
            "report": answer.body,
            "clockOffsetS": offset_s,
            "clockUncertaintyS": uncertainty_s,
        }


def _offset(body: Mapping[str, Any], asked_at: datetime, round_trip_s: float) -> tuple[float | None, float]:
    """How far the connector's clock is ahead of this one. The connector reports when the call arrived, by its clock, and how long
    the answer took. The rest of the round trip is the time on the network."""
    took_s = body.get("tookS")
    way_s = max(0.0, round_trip_s - (took_s if isinstance(took_s, int | float) else 0.0))
    try:
        theirs = datetime.fromisoformat(str(body.get("time")))
        offset_s = _seconds(theirs - asked_at) - way_s / 2
    except (TypeError, ValueError):
        return None, way_s / 2
    return offset_s, way_s / 2


def _seconds(span: timedelta) -> float:
    return span.total_seconds()
