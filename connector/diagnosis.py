"""Reports what this connector runs and what it can reach, when the functions ask for a diagnosis. Changes nothing."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connector.contract import engine_pb2 as pb
from connector.engine import CallUnknown, Engine, EngineFailed
from connector.flush import Flusher
from connector.health import Health
from connector.settings import Settings
from core import contract, release

_FLUSH_S = 18.0
"""How long to wait for the flush function, which may need some seconds to start. Less than the functions wait for this report (backend/connector_client.py)."""
_HELLO_S = 2.0
_STORE_S = 5.0
"""More than the engine waits for its store."""

_STORE_RESULTS = {
    pb.CheckStoreResponse.WRITABLE: "writable",
    pb.CheckStoreResponse.READ_ONLY: "read_only",
    pb.CheckStoreResponse.UNREACHABLE: "unreachable",
}


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    settings: Settings
    engine: Engine
    health: Health
    flusher: Flusher

    async def report(self) -> dict[str, Any]:
        """Codes and versions; no secret, no account and no number. `time` is when the call arrived, `tookS` how long the report took."""
        asked_at, began = datetime.now(UTC), time.monotonic()
        ready, engine, store, flush = await asyncio.gather(
            self.health.parts(), self._engine(), self._store(), self.flusher.diagnose(_FLUSH_S)
        )
        return {
            **release.identification(),
            "contract": contract.VERSION,
            "workerId": self.settings.worker_id,
            "publicEndpoint": self.settings.public_endpoint,
            "functionsServiceAccount": self.settings.functions_service_account,
            "flushUrl": self.settings.flush_url,
            "ready": ready,
            "engine": engine,
            "store": store,
            "flush": flush,
            "time": asked_at.isoformat(),
            "tookS": time.monotonic() - began,
        }

    async def _engine(self) -> dict[str, Any]:
        try:
            greeting = await self.engine.greeting(_HELLO_S)
        except EngineFailed:
            return {"outcome": "unreachable"}
        return {"outcome": "answered", "contract": greeting.contract, "whatsmeow": greeting.whatsmeow}

    async def _store(self) -> dict[str, Any]:
        try:
            found = await self.engine.check_store(_STORE_S)
        except CallUnknown:
            return {"outcome": "not_known"}
        except EngineFailed:
            return {"outcome": "no_engine"}
        return {"outcome": _STORE_RESULTS.get(found.result, "not_known"), "kind": found.kind, "version": found.version}
