"""The one retry of a commit that lost against another writer: load, decide and commit again, after a random pause."""

from collections.abc import Callable
from typing import TypeVar

from backend.clock import stand_back
from backend.stores import Conflict

Result = TypeVar("Result")

_TRIES = 60


class ContentionError(Exception):
    """Other writers were faster in every try. The platform or the caller tries again later."""


def until_committed(attempt: Callable[[int], Result], failure: str, *final: type[Conflict]) -> Result:
    """Calls `attempt` until it raises no Conflict, at most 60 times, and answers what it answers.

    `attempt` loads, asks the core and commits. It is given how often it has lost before, and runs again from its start: before
    its commit it must not send, enqueue or log.
    Raises the conflicts of the types `final` at once, and in the end ContentionError with `failure`, which says what could not
    be written and quotes no id.
    """
    for conflicts in range(_TRIES):
        try:
            return attempt(conflicts)
        except final:
            raise
        except Conflict:
            stand_back(conflicts + 1)
    raise ContentionError(f"{failure}: other writers were faster each time")
