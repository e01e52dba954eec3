"""A sample argument for each type that a query function's parameter may have."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import get_type_hints

from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import AsyncClient, AsyncQuery, Client, Query
from google.cloud.firestore_v1.types import StructuredQuery

from core.alert_types import AlertType, Condition
from core.ids import AccountId, ChatId, ThreadId, WaMessageKey, WorkerId

_PROJECT = "demo-indexes"
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def query_of(function: Callable[..., Query | AsyncQuery]) -> StructuredQuery:
    """The query that the function builds from sample arguments: nothing is sent."""
    hints = get_type_hints(function)
    hints.pop("return")
    samples = _samples()
    arguments = {name: samples[hint] for name, hint in hints.items()}
    return function(**arguments)._to_protobuf()


def _samples() -> dict[object, object]:
    return {
        Client: Client(project=_PROJECT, credentials=AnonymousCredentials()),
        AsyncClient: AsyncClient(project=_PROJECT, credentials=AnonymousCredentials()),
        AccountId: AccountId("sales-1"),
        ChatId: ChatId("40712345678@s.whatsapp.net"),
        ThreadId: ThreadId("sales-1_40712345678@s.whatsapp.net"),
        Sequence[ThreadId]: [ThreadId("sales-1_40712345678@s.whatsapp.net"), ThreadId("sales-1_990001@lid")],
        Sequence[WaMessageKey]: [WaMessageKey("A1-in"), WaMessageKey("A2-in")],
        WorkerId: WorkerId("connector-0"),
        str: "https://connector-0.example.com",
        datetime: _NOW,
        int: 10,
        Sequence[AlertType]: [Condition.NO_OWNER],
    }
