"""The threads that this process's send jobs work on: a job that comes to one of them lets the one at work look again."""

import threading

from core.ids import ThreadId


class Running:
    """Thread-safe. Where the job at work fails or dies with its process, its task is tried again, and looks for all."""

    def __init__(self) -> None:
        self._asked: dict[ThreadId, bool] = {}
        """Of each thread with a job at work: whether another has come since the last look at its queue."""
        self._guard = threading.Lock()

    def join(self, thread_id: ThreadId) -> bool:
        """Whether a job is at work on the thread; it looks at the queue again before it ends."""
        with self._guard:
            is_at_work = thread_id in self._asked
            if is_at_work:
                self._asked[thread_id] = True
            return is_at_work

    def begin(self, thread_id: ThreadId) -> bool:
        """Whether the caller is the job at work now; if not, another is."""
        with self._guard:
            is_free = thread_id not in self._asked
            if is_free:
                self._asked[thread_id] = False
            return is_free

    def note_look(self, thread_id: ThreadId) -> None:
        """A look at the queue begins: it finds what every job came for until now."""
        with self._guard:
            if thread_id in self._asked:
                self._asked[thread_id] = False

    def end(self, thread_id: ThreadId) -> bool:
        """Whether the job at work may end: no other has come since the last look."""
        with self._guard:
            may_end = not self._asked[thread_id]
            if may_end:
                del self._asked[thread_id]
            return may_end

    def fail(self, thread_id: ThreadId) -> None:
        """The job at work ends, whoever has come."""
        with self._guard:
            del self._asked[thread_id]
