"""One worker at a time in a chat, within this process: fewer conflicts, and rows that one worker took up for all."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_KEEP_S = 60.0
_MANY = 5000


class Chat:
    """A chat's lock, and which of its rows this process has processed of late."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._done: dict[str, float] = {}

    def note_done(self, event_ids: Iterable[str]) -> None:
        now = time.monotonic()
        if len(self._done) > _MANY:
            self._done = {row: at for row, at in self._done.items() if at > now - _KEEP_S}
        self._done.update(dict.fromkeys(event_ids, now))

    def is_done(self, event_id: str) -> bool:
        return event_id in self._done


class Chats:
    """Only a help against contention: another process holds locks of its own, and preconditions decide."""

    def __init__(self) -> None:
        self._chats: dict[str, tuple[Chat, int]] = {}
        self._guard = threading.Lock()

    @contextmanager
    def enter(self, thread_id: str) -> Iterator[Chat]:
        """The chat, for as long as somebody uses it and a little longer; its lock is not taken."""
        with self._guard:
            chat, users = self._chats.get(thread_id) or (Chat(), 0)
            self._chats[thread_id] = (chat, users + 1)
        try:
            yield chat
        finally:
            with self._guard:
                chat, users = self._chats[thread_id]
                self._chats[thread_id] = (chat, users - 1)
                if len(self._chats) > _MANY:
                    self._chats = {key: entry for key, entry in self._chats.items() if entry[1] > 0}
