"""An account's health in a few words: the fields that say something else than that all is well."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from core.account import Status

Document = Mapping[str, Any]

_TIMES = ("syncGapStartAt", "syncGapEndAt", "bannedUntil", "coldLockedUntil")


def said(account: Document, *, seen_each_s: float = math.inf) -> str:
    """Errors by their code alone; times from now on. `seen_each_s`: an older lastSeenAt stands still."""
    return " ".join(_parts(account, seen_each_s))


def _parts(account: Document, seen_each_s: float) -> Iterator[str]:
    yield f"status={account.get('status')}"
    seen_at = account.get("lastSeenAt")
    is_late = isinstance(seen_at, datetime) and (datetime.now(UTC) - seen_at).total_seconds() > seen_each_s
    if is_late and account.get("status") == Status.CONNECTED:
        yield f"lastSeenAt={_from_now(account['lastSeenAt'])}"
    for name in ("disconnectReason", "lastError", "degradedReason"):
        value = account.get(name)
        if isinstance(value, str):
            yield f"{name}={value if name == 'disconnectReason' else _short(name, value)}"
    if account.get("reconnectCount"):
        yield f"reconnectCount={account['reconnectCount']}"
    for name in _TIMES:
        if isinstance(value := account.get(name), datetime):
            yield f"{name}={_from_now(value)}"


def _short(name: str, value: str) -> str:
    """Of an error the code: its sentence stands in docs/errors.md."""
    return f'"{value}"' if name == "degradedReason" else value.partition(":")[0]


def _from_now(at: datetime) -> str:
    left_s = (at - datetime.now(UTC)).total_seconds()
    return f"{left_s:+.0f} s" if abs(left_s) < 120 else f"{left_s / 60:+.0f} min"
