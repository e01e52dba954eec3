"""Commits that Firestore refuses without applying them, as it does under contention."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.cloud.firestore import WriteBatch


@contextmanager
def refused(*errors: Exception, touching: str = "") -> Iterator[None]:
    """The next commits that write a document whose path contains `touching` fail with these errors, one each, and write nothing."""
    waiting, real = deque(errors), WriteBatch.commit

    def commit(batch: WriteBatch, **options: Any) -> Any:
        paths = [write.update.name or write.delete for write in batch._write_pbs]
        if waiting and any(touching in path for path in paths):
            raise waiting.popleft()
        return real(batch, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WriteBatch, "commit", commit)
        yield
    assert not waiting, "no such commit was made"
