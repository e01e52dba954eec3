"""`python -m local.production.skewed_connector`: the connector on a machine whose wall clock is CLOCK_AHEAD_S seconds ahead.

The same modules, which are given another datetime. Their engine runs on this machine's clock: what the two tell one another of it is
translated, as if the engine ran on the connector's machine.
"""

import importlib
import os
import pkgutil
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, tzinfo
from typing import Any

import connector
from connector.__main__ import main
from connector.contract import engine_pb2 as pb
from connector.engine import Engine
from connector.term import Term

AHEAD = timedelta(seconds=float(os.environ["CLOCK_AHEAD_S"]))
_AHEAD_MS = int(AHEAD.total_seconds() * 1000)


class _AsADatetime(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime)


class SkewedDatetime(datetime, metaclass=_AsADatetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain one, as Firestore takes it
        return datetime.now(tz) + AHEAD


class SkewedEngine(Engine):
    async def send(self, term: Term, *, not_after_unix_ms: int, **more: Any) -> pb.SendResponse:
        return await super().send(term, not_after_unix_ms=not_after_unix_ms - _AHEAD_MS, **more)

    async def events(self, term: Term) -> AsyncIterator[pb.Event]:
        async for event in super().events(term):
            yield _on_the_connectors_clock(event)


def _on_the_connectors_clock(event: pb.Event) -> pb.Event:
    match event.WhichOneof("kind"):
        case "pairing_code":
            event.pairing_code.expires_at_unix_ms += _AHEAD_MS
        case "backlog":
            event.backlog.began_at_unix_ms += _AHEAD_MS
            event.backlog.connected_at_unix_ms += _AHEAD_MS
    return event


def skew() -> None:
    for module in pkgutil.iter_modules(connector.__path__, "connector."):
        found = importlib.import_module(module.name).__dict__
        for plain, skewed in (("datetime", SkewedDatetime), ("Engine", SkewedEngine)):
            if found.get(plain) in (datetime, Engine):
                found[plain] = skewed


if __name__ == "__main__":
    skew()
    sys.exit(main())
