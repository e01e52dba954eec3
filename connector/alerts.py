"""Raising an alert: one document a cause, however often it happens."""

import asyncio
from datetime import UTC, datetime

from google.api_core.exceptions import AlreadyExists
from google.cloud.firestore import AsyncClient

from connector import log
from connector.backoff import Backoff
from connector.store import UNAVAILABLE
from connector.term import Term
from core import schema
from core.alert import Alert


async def raise_alert(db: AsyncClient, term: Term, alert: Alert, call_s: float) -> None:
    """Tries until the alert stands, for as long as the term lasts. Idempotent. Raises TermLost."""
    document = db.collection(schema.ALERTS).document(alert.alert_id)
    backoff = Backoff(first_s=0.1, max_s=2.0)
    while True:
        term.check()
        try:
            await document.create(alert.document(datetime.now(UTC)), retry=None, timeout=call_s)
            return
        except AlreadyExists:
            return
        except UNAVAILABLE as error:
            log.alert_not_raised(term.account, error)
            await asyncio.sleep(backoff.next_delay_s())
