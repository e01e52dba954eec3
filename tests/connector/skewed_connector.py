"""`python -m connector` on a machine whose wall clock is CLOCK_AHEAD_S seconds ahead: the same modules, which are given another datetime."""

import importlib
import os
import pkgutil
import sys
from datetime import datetime, timedelta, tzinfo

import connector
from connector.__main__ import main

AHEAD = timedelta(seconds=float(os.environ["CLOCK_AHEAD_S"]))


class SkewedDatetime(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain one, as Firestore takes it
        return datetime.now(tz) + AHEAD


def skew() -> None:
    for module in pkgutil.iter_modules(connector.__path__, "connector."):
        found = importlib.import_module(module.name)
        if getattr(found, "datetime", None) is datetime:
            found.__dict__["datetime"] = SkewedDatetime


if __name__ == "__main__":
    skew()
    sys.exit(main())
