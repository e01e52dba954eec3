"""What all parts of one server share: its people, its open connections, the standing faults and the record."""

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from tests.whatsapp.faults import FaultBook
from tests.whatsapp.jid import Jid
from tests.whatsapp.media_host import MediaHost
from tests.whatsapp.record import Record
from tests.whatsapp.versions import Versions

if TYPE_CHECKING:
    from tests.whatsapp.connection import Connection
    from tests.whatsapp.contact import Contact
    from tests.whatsapp.groups import Group
    from tests.whatsapp.pairing_code import CodePairing
    from tests.whatsapp.phone import Phone

_LOOK_AGAIN_S: Final = 0.25
_GATHER_S: Final = 0.002

Found = TypeVar("Found")


class World:
    def __init__(self) -> None:
        self.faults = FaultBook()
        self.record = Record()
        self.versions = Versions()
        self.media = MediaHost()
        self.receipt_delay_s = 0.0
        """How long contacts take to say that a message was delivered, or read."""
        self.connections: set[Connection] = set()
        self.code_pairings: dict[str, CodePairing] = {}
        """By the reference that the client was given."""
        self.groups: dict[str, Group] = {}
        """By the group's address."""
        self.group_queries: list[Jid] = []
        """Each time that a client asked for a group."""
        self._people: dict[str, Contact | Phone] = {}
        self._ids = itertools.count(1)
        self._changed = asyncio.Event()

    # People

    def add(self, person: "Contact | Phone") -> None:
        if person.number_jid.user in self._people:
            raise ValueError("there is somebody with this number")
        self._people[person.number_jid.user] = person
        self._people[person.lid.user] = person

    def person(self, jid: Jid) -> "Contact | Phone | None":
        return self._people.get(jid.user)

    @property
    def people(self) -> "list[Contact | Phone]":
        return list(dict.fromkeys(self._people.values()))

    # Waiting

    def new_id(self) -> str:
        return f"server-{next(self._ids)}"

    def notify(self) -> None:
        """Something changed that somebody may wait for."""
        self._changed.set()

    async def until(
        self, find: Callable[[], Found | None], timeout_s: float = 15.0, *, what: str = "the condition"
    ) -> Found:
        """The first thing found that counts as true. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = find()
            if found:
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"waited {timeout_s:.1f} s in vain for {what}")
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), min(left, _LOOK_AGAIN_S))
            except TimeoutError:
                continue
            await asyncio.sleep(_GATHER_S)  # many changes come together: look once for all of them
