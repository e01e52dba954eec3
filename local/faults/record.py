"""What stands at the end of a round: the network's own record, and the product's documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.cloud.firestore import Client
from google.cloud.firestore_v1.base_query import FieldFilter

from core import schema
from local.faults.cast import Cast
from local.network.client import Network
from local.network.contacts import InboxMessage
from local.network.world import Frame, Written
from local.production.world import World


@dataclass(frozen=True, kw_only=True)
class Document:
    fields: Mapping[str, Any]
    created_at: datetime
    """When Firestore committed its creation: commits to one thread follow one another, so this orders them."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """Documents by their id. `posts` are the outcomes that the connector gave, by waMessageKey."""

    frames: Sequence[Frame]
    inboxes: Mapping[str, Sequence[InboxMessage]]
    written: Sequence[Written]
    unacknowledged: int
    outbox: Mapping[str, Document]
    messages: Mapping[str, Document]
    threads: Mapping[str, Document]
    rows: Mapping[str, Document]
    alerts: Mapping[str, Document]
    posts: Mapping[str, Sequence[str]]


def take_record(world: World, db: Client, cast: Cast) -> Record:
    phones = {account.phone for account in cast.accounts}
    accounts = {account.account_id for account in cast.accounts}
    posts: dict[str, list[str]] = {}
    for post in (post for gate in world.connector_gates for post in gate.posts()):
        posts.setdefault(post["wa_message_key"], []).append(post["outcome"])
    return Record(
        frames=[frame for frame in world.network.frames() if frame.account in phones],
        inboxes={chat.contact: world.network.inbox(chat.contact) for chat in cast.chats},
        written=[written for written in world.network.written() if written.account in phones],
        unacknowledged=unacknowledged(world.network, cast),
        posts=posts,
        **{
            name: _documents(db, collection, accounts)
            for name, collection in {
                "outbox": schema.OUTBOX,
                "messages": schema.MESSAGES,
                "threads": schema.THREADS,
                "rows": schema.INGEST,
                "alerts": schema.ALERTS,
            }.items()
        },
    )


def unacknowledged(network: Network, cast: Cast) -> int:
    """Events that the connector has not taken over yet."""
    phones = {account.phone for account in cast.accounts}
    of_cast = [state for state in network.accounts().values() if state.phone in phones]
    return sum(state.unacknowledged + state.offline for state in of_cast)


def _documents(db: Client, collection: str, accounts: set[Any]) -> dict[str, Document]:
    found: dict[str, Document] = {}
    for account in accounts:
        query = db.collection(collection).where(filter=FieldFilter("accountId", "==", account))
        for snapshot in query.stream():
            assert snapshot.create_time is not None
            found[snapshot.id] = Document(fields=snapshot.to_dict() or {}, created_at=snapshot.create_time)
    return found
