"""A thread that was merged into another one, as the command line reads it (core/merge.py)."""

from connector.admin.context import Context, Stored
from core import schema, thread
from core.ids import ThreadId


def merged_thread(context: Context, thread_id: ThreadId) -> Stored | None:
    """The thread, or the one that it was merged into."""
    found = context.read(schema.THREADS, thread_id)
    into = thread.parse(found.document).merged_into if found is not None else None
    return found if into is None else context.read(schema.THREADS, into)


def names_of(found: Stored | None, thread_id: ThreadId) -> list[ThreadId]:
    """The ids under which a thread's messages stand."""
    if found is None:
        return [thread_id]
    return [ThreadId(found.id), *thread.parse(found.document).merged_from]
