"""Takes the users' preferences of a thread along, when the thread becomes part of another one."""

from collections.abc import Iterator
from dataclasses import dataclass

from backend import queries
from backend.stores import Commit, Stores
from core import preferences, schema
from core.ids import ThreadId

_LOWEST = "\x01"
"""Before every user's id. Behind a user's id: before every later user's id."""


@dataclass(frozen=True, kw_only=True)
class Preferences:
    stores: Stores

    def add_move(self, commit: Commit, former: ThreadId, into: ThreadId) -> None:
        """Adds to the commit that each user's preferences of `former` become those of `into`, joined with the preferences that stand there.

        Costs up to two reads for each user who has preferences of any thread, and two for each who has them of `former`. A user who
        writes one of the documents meanwhile makes the commit fail with Conflict.
        """
        for uid in self._users_with(former):
            collection = schema.prefs_of(uid)
            found = self.stores.documents(collection, [former, into])
            old, current = found.get(former), found.get(into)
            if old is None:
                continue  # its user has just deleted it
            commit.delete(collection, former, at=old.update_time)
            if current is None:
                commit.create(collection, into, old.value)
                continue
            is_former_newer = old.update_time > current.update_time
            fields = preferences.joined(current.value, old.value, is_former_newer=is_former_newer)
            commit.update(collection, into, fields, at=current.update_time)

    def _users_with(self, thread_id: ThreadId) -> Iterator[str]:
        """The users who have preferences of the thread. Goes from user to user: no query finds a document's id over all users."""
        uid = _LOWEST
        while True:
            found = self.stores.paths(queries.preferences_from(self.stores.db, uid, thread_id))
            if not found or found[0][0] != schema.USERS:
                return
            path, owner = found[0], found[0][1]
            sought = (schema.USERS, owner, schema.PREFS, thread_id)
            if path == sought:
                yield owner
            uid = owner if path < sought else owner + _LOWEST
