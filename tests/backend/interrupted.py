"""A worker that has just read a thread when something else happens to it."""

from collections.abc import Callable

from backend.stores import Stored, Stores
from core.ids import ThreadId
from core.thread import Thread


class InterruptedStores(Stores):
    """`then` is called once, after the first read of a thread and before its reader goes on."""

    def __init__(self, stores: Stores, then: Callable[[], object]) -> None:
        super().__init__(stores.db)
        self._then: Callable[[], object] | None = then

    def thread(self, thread_id: ThreadId) -> Stored[Thread] | None:
        read = super().thread(thread_id)
        if self._then is not None:
            then, self._then = self._then, None
            then()
        return read
