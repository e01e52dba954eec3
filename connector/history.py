"""Asks the account's phone for what came in its recent chats before the newest message that stands of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from google.cloud.firestore import AsyncClient

from connector.engine import Engine
from connector.queries import newest_rows_before
from connector.term import Term

_ROWS = 100
_CHATS = 20
_MESSAGES = 50
"""Of a chat: as many as WhatsApp's own clients ask for at a time."""


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """The newest message that is known of a chat."""

    chat_jid: str
    whatsapp_id: str
    from_me: bool
    timestamp_s: int


async def ask_for_history(db: AsyncClient, engine: Engine, term: Term, call_s: float) -> None:
    """What the phone has comes as messages, some time or never. Raises EngineFailed and what Firestore raises."""
    rows = await newest_rows_before(db, term.account, datetime.now(UTC), _ROWS).get(retry=None, timeout=call_s)
    for anchor in anchors(row.to_dict() or {} for row in rows):
        term.check()
        await engine.request_history(
            term,
            chat=anchor.chat_jid,
            whatsapp_id=anchor.whatsapp_id,
            from_me=anchor.from_me,
            timestamp_s=anchor.timestamp_s,
            count=_MESSAGES,
        )


def anchors(rows: Iterable[Mapping[str, object]]) -> list[Anchor]:
    """One a chat, of rows of the ingest log. A chat of which only receipts stand has none."""
    newest: dict[object, Anchor] = {}
    for row in rows:
        payload = row.get("payload")
        if row.get("eventType") != "message" or not isinstance(payload, Mapping):
            continue
        jid, whatsapp_id, from_me, second = (
            payload.get(name) for name in ("chatJid", "whatsappId", "fromMe", "timestampS")
        )
        if not isinstance(jid, str) or not isinstance(whatsapp_id, str) or not isinstance(second, int) or second <= 0:
            continue
        known = newest.get(row.get("chatId"))
        if known is None or second > known.timestamp_s:
            newest[row.get("chatId")] = Anchor(
                chat_jid=jid, whatsapp_id=whatsapp_id, from_me=from_me is True, timestamp_s=second
            )
    return list(newest.values())[:_CHATS]
