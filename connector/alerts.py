"""Raising an alert: one document a cause, which counts how often it happened; and closing it when the cause has ended."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime

from google.api_core.exceptions import AlreadyExists
from google.cloud.firestore import AsyncClient, AsyncDocumentReference, Increment

from connector import log
from connector.backoff import Backoff
from connector.queries import open_alerts_of_account
from connector.store import PRECONDITION_FAILED, UNAVAILABLE
from connector.term import Term
from core import schema
from core.alert import Alert, last_at, resolved_fields
from core.alert_types import AlertType


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


async def resolve_alerts(db: AsyncClient, term: Term, types: Collection[AlertType], call_s: float) -> None:
    """Closes the account's open alerts of these types. Tries once: the sweeper makes good what fails. Raises TermLost."""
    now = datetime.now(UTC)
    term.check()
    try:
        for alert in await open_alerts_of_account(db, term.account).get(retry=None, timeout=call_s):
            if alert.get("type") not in types:
                continue
            term.check()
            known = db.write_option(last_update_time=alert.update_time)
            with suppress(*PRECONDITION_FAILED):  # somebody else has just closed it
                await alert.reference.update(resolved_fields(now), option=known, retry=None, timeout=call_s)
    except UNAVAILABLE as error:
        log.alert_not_raised(term.account, error)


async def _raise_once(
    db: AsyncClient, document: AsyncDocumentReference, alert: Alert, now: datetime, call_s: float
) -> None:
    """Where the alert stands already, it is counted and open again."""
    try:
        await document.create(alert.document(now), retry=None, timeout=call_s)
    except AlreadyExists:
        standing = await document.get(retry=None, timeout=call_s)
        if last_at(standing.to_dict() or {}) == now:
            return  # an earlier try of this occurrence, whose answer was lost
        fields = {**alert.again_fields(now), "count": Increment(1)}
        known = db.write_option(last_update_time=standing.update_time)
        await document.update(fields, option=known, retry=None, timeout=call_s)
