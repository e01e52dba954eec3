"""A person whom WhatsApp names by a number and by a LID, as the tests of merged threads write for one."""

import itertools
from datetime import datetime
from typing import Any

from google.cloud.firestore_v1.base_query import FieldFilter

from backend.replies import Replies
from backend.stores import Stores
from core import schema
from core.ids import ChatId, RequestId, outbound_key, wa_message_id
from tests.backend.world import World, key_of

_lids = itertools.count(990000000000001)


class Contact:
    """A person under both names."""

    def __init__(self, world: World, *, thread: bool = True) -> None:
        self.world = world
        self.number = world.chat(thread=thread)
        self.lid = ChatId(f"{next(_lids)}@lid")

    @property
    def phone(self) -> str:
        return f"+{self.number.split('@')[0]}"

    def writes(self, chat: ChatId, text: str, key: str | None = None, **payload: Any) -> str:
        """Under the LID, the event tells both names; under the number it tells that alone. The row was taken up."""
        event = self.row(chat, text, key, **payload)
        self.world.trigger_ingest(event)
        return event

    def row(self, chat: ChatId, text: str, key: str | None = None, **payload: Any) -> str:
        return self.world.receive(chat, text, key, payload={"text": text, **self.names(chat), **payload})

    def wrote(self, chat: ChatId, text: str, at: datetime) -> None:
        """As `writes`, at this time."""
        payload = {"text": text, **self.names(chat)}
        self.world.trigger_ingest(self.world.receive(chat, text, at=at, receivedAt=at, payload=payload))

    def names(self, chat: ChatId) -> dict[str, str]:
        return {"chatJid": chat, "chatOtherJid": self.number if chat == self.lid else ""}

    def receipt(self, chat: ChatId, request: RequestId, value: str) -> None:
        event = self.world.receipt(chat, key_of(request), value)
        self.world.db.collection(schema.INGEST).document(event).update(
            {f"payload.{name}": told for name, told in self.names(chat).items()}
        )
        self.world.trigger_ingest(event)

    def refuses(self, chat: ChatId, request: RequestId, stores: Stores) -> None:
        """Records that WhatsApp has refused the request, which stands under this name, as a send job does. Raises Conflict."""
        thread_id = self.world.thread_id(chat)
        message = stores.message(wa_message_id(thread_id, outbound_key(request)))
        stored = stores.request(request)
        assert message is not None
        assert stored is not None
        commit = stores.commit()
        outcome = {"delivery": "failed", "error": "rejected: no"}
        left_at = now = stored.update_time
        Replies(stores=stores).add_outcome(commit, thread_id, message, outcome, left_at=left_at, now=now)
        commit.run()

    def texts(self) -> list[str]:
        """What a reader of both names sees, in order."""
        ids = [self.world.thread_id(self.lid), self.world.thread_id(self.number)]
        query = self.world.db.collection(schema.MESSAGES).where(filter=FieldFilter("threadId", "in", ids))
        found = [snapshot.to_dict() or {} for snapshot in query.stream()]
        return [str(message["text"]) for message in sorted(found, key=lambda each: each["timestamp"])]

    @property
    def thread(self) -> dict[str, Any]:
        return self.world.thread(self.lid)

    @property
    def old(self) -> dict[str, Any]:
        return self.world.thread(self.number)
