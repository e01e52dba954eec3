"""Whether the connector can do its work: asked by /readyz, at most once in a few seconds however often that is called."""

import asyncio
import time
from dataclasses import dataclass, field

from google.cloud.firestore import AsyncClient

from connector.engine import Engine
from connector.store import UNAVAILABLE
from core import schema

LIMIT_S = 2.0
"""/readyz answers within this time: it asks both parts in parallel. The start-up probe waits longer (deploy/connector_service.yaml)."""

_FRESH_S = 2.0


@dataclass(kw_only=True)
class Health:
    db: AsyncClient
    engine: Engine
    is_stopping: bool = False
    _parts: dict[str, bool] = field(default_factory=dict, init=False)
    _checked_at_s: float = field(default=float("-inf"), init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def parts(self) -> dict[str, bool]:
        """What must be true to be ready."""
        async with self._turn:
            if time.monotonic() - self._checked_at_s > _FRESH_S:
                firestore, engine = await asyncio.gather(self._reaches_firestore(), self.engine.is_ready())
                self._parts = {"firestore": firestore, "engine": engine}
                self._checked_at_s = time.monotonic()
        return self._parts | {"takesWork": not self.is_stopping}

    async def _reaches_firestore(self) -> bool:
        try:
            # Reads no document that exists: an answer is all that is wanted.
            await self.db.collection(schema.LEASES).document("-readyz-").get(retry=None, timeout=LIMIT_S)
        except UNAVAILABLE:
            return False
        return True
