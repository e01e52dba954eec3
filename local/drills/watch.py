"""Stamps what accounts and alerts say: a listener of Firestore's own, outside the product and past its gates."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from google.cloud.firestore import Client

from core import schema
from local.drills.fields import Document, said


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A document as it stood from `at` on, by this process's monotonic clock."""

    at: float
    document_id: str
    document: Document


class NotSeen(Exception):
    """What was waited for did not appear."""


@dataclass(kw_only=True)
class Watch:
    """All that accounts and alerts have said since `begin`, in order. Any thread may ask."""

    db: Client
    _changed: threading.Condition = field(default_factory=threading.Condition, init=False)
    _seen: dict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list), init=False)
    _ends: list[Callable[[], None]] = field(default_factory=list, init=False)

    def begin(self) -> None:
        for collection in (schema.ACCOUNTS, schema.ALERTS):
            listening = self.db.collection(collection).on_snapshot(self._noter(collection))
            self._ends.append(listening.unsubscribe)

    def close(self) -> None:
        for end in self._ends:
            with suppress(RuntimeError):  # it had ended by itself
                end()

    def await_account(
        self, account: str, holds: Callable[[Document], bool], what: str, *, since: float, limit_s: float
    ) -> Seen:
        """The first state after `since` for which this holds; one from before counts while it stands. Raises NotSeen."""
        return self._await(
            lambda: _first([each for each in self._seen[schema.ACCOUNTS] if each.document_id == account], since, holds),
            lambda: f"{what}; its account says {said(self._latest(schema.ACCOUNTS, account))}",
            limit_s,
        )

    def await_alert(self, is_meant: Callable[[Document], bool], what: str, *, since: float, limit_s: float) -> Seen:
        """The first alert that is opened, or counted again, after `since`. Raises NotSeen."""
        return self._await(
            lambda: next(
                (each for each in self._seen[schema.ALERTS] if each.at >= since and is_meant(each.document)), None
            ),
            lambda: what,
            limit_s,
        )

    def alerts(self) -> Sequence[Seen]:
        """Each as it stands now."""
        with self._changed:
            return list({each.document_id: each for each in self._seen[schema.ALERTS]}.values())

    def note(self, collection: str, changes: Sequence[Any]) -> None:
        """What the listener tells: changes of documents, in order."""
        at = time.monotonic()
        with self._changed:
            for change in changes:
                found = change.document
                self._seen[collection].append(Seen(at=at, document_id=found.id, document=found.to_dict() or {}))
            self._changed.notify_all()

    def _noter(self, collection: str) -> Callable[..., None]:
        return lambda _documents, changes, _read_at: self.note(collection, changes)

    def _latest(self, collection: str, document_id: str) -> Document:
        return next((each.document for each in reversed(self._seen[collection]) if each.document_id == document_id), {})

    def _await(self, find: Callable[[], Seen | None], what: Callable[[], str], limit_s: float) -> Seen:
        deadline = time.monotonic() + limit_s
        with self._changed:
            while (found := find()) is None:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise NotSeen(f"not within {limit_s:.0f} s: {what()}")
                self._changed.wait(left_s)
            return found


def _first(states: Sequence[Seen], since: float, holds: Callable[[Document], bool]) -> Seen | None:
    """The state that stood at `since` counts as seen then."""
    before = [each for each in states if each.at < since][-1:]
    for each in [*before, *(each for each in states if each.at >= since)]:
        if holds(each.document):
            return each if each.at >= since else Seen(at=since, document_id=each.document_id, document=each.document)
    return None
