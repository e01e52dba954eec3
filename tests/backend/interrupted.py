"""A worker that has just read a thread, a request or a message, or looked at a queue, when something else happens to it."""

from collections.abc import Callable

from google.cloud.firestore import Query

from backend.stores import Document, Stored, Stores
from core.ids import RequestId, ThreadId, WaMessageId
from core.message import StoredMessage
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


class InterruptedDocument(Stores):
    """`then` is called once, after so many reads of threads' whole documents and before the reader goes on."""

    def __init__(self, stores: Stores, then: Callable[[], object], *, reads: int = 1) -> None:
        super().__init__(stores.db)
        self._then = then
        self._left = reads

    def thread_document(self, thread_id: ThreadId) -> Stored[Document] | None:
        read = super().thread_document(thread_id)
        self._left -= 1
        if self._left == 0:
            self._then()
        return read


class InterruptedLook(Stores):
    """`then` is called once, after the first query that finds nothing and before its reader goes on."""

    def __init__(self, stores: Stores, then: Callable[[], object]) -> None:
        super().__init__(stores.db)
        self._then: Callable[[], object] | None = then

    def find(self, query: Query) -> list[Stored[Document]]:
        found = super().find(query)
        if not found and self._then is not None:
            then, self._then = self._then, None
            then()
        return found


class InterruptedRequest(Stores):
    """`then` is called once, after the first read of a request and before its reader goes on."""

    def __init__(self, stores: Stores, then: Callable[[], object]) -> None:
        super().__init__(stores.db)
        self._then: Callable[[], object] | None = then

    def request(self, request_id: RequestId) -> Stored[Document] | None:
        read = super().request(request_id)
        if self._then is not None:
            then, self._then = self._then, None
            then()
        return read


class InterruptedMessage(Stores):
    """`then` is called once, after the first read of a message and before its reader goes on."""

    def __init__(self, stores: Stores, then: Callable[[], object]) -> None:
        super().__init__(stores.db)
        self._then: Callable[[], object] | None = then

    def message(self, message_id: WaMessageId) -> Stored[StoredMessage] | None:
        read = super().message(message_id)
        if self._then is not None:
            then, self._then = self._then, None
            then()
        return read
