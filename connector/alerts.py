"""Raising an alert: one document a cause, which counts how often it happened."""

import asyncio
from datetime import UTC, datetime

from google.api_core.exceptions import AlreadyExists
from google.cloud.firestore import AsyncClient, AsyncDocumentReference, Increment

from connector import log
from connector.backoff import Backoff
from connector.store import UNAVAILABLE
from connector.term import Term
from core import schema
from core.alert import Alert


async def raise_alert(db: AsyncClient, term: Term, alert: Alert, call_s: float) -> None:
    """Tries until this occurrence stands, for as long as the term lasts. Raises TermLost."""
    document = db.collection(schema.ALERTS).document(alert.alert_id)
    now = datetime.now(UTC)
    backoff = Backoff(first_s=0.1, max_s=2.0)
    while True:
        term.check()
        try:
            await _raise_once(db, document, alert, now, call_s)
            return
        except UNAVAILABLE as error:
            log.alert_not_raised(term.account, error)
            await asyncio.sleep(backoff.next_delay_s())


async def _raise_once(
    db: AsyncClient, document: AsyncDocumentReference, alert: Alert, now: datetime, call_s: float
) -> None:
    """Where the alert stands already, it is counted and open again."""
    try:
        await document.create(alert.document(now), retry=None, timeout=call_s)
    except AlreadyExists:
        standing = await document.get(retry=None, timeout=call_s)
        if (standing.to_dict() or {}).get("createdAt") == now:
            return  # an earlier try of this occurrence, whose answer was lost
        fields = {**alert.again_fields(now), "count": Increment(1)}
        known = db.write_option(last_update_time=standing.update_time)
        await document.update(fields, option=known, retry=None, timeout=call_s)
