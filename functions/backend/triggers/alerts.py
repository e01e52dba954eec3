"""The triggers that tell somebody of an alert. Each write of an alert's document comes here; most change nothing for a person."""

from datetime import UTC, datetime, timedelta

from backend import log, webhook
from backend.deployment import TRIGGER_TIMEOUT_S, retried
from backend.document_events import DocumentEvent, on_document_written
from backend.params import ALERT_WEBHOOK_SECRET, FIRESTORE_DATABASE
from backend.services import posting
from core import schema
from core.alert import change
from core.alert_telling import Told, told
from core.timing import Timing

_DOCUMENT = f"{schema.ALERTS}/{{alertId}}"


@retried
@on_document_written(document=_DOCUMENT, database=FIRESTORE_DATABASE.expression, timeout_sec=TRIGGER_TIMEOUT_S)
def threadlineOnAlert(event: DocumentEvent) -> None:
    """The log line that Cloud Monitoring alerts on (monitoring/)."""
    changed = _told(event)
    if changed is not None:
        log.alert_changed(changed)


@retried
@on_document_written(
    document=_DOCUMENT,
    database=FIRESTORE_DATABASE.expression,
    timeout_sec=TRIGGER_TIMEOUT_S,
    secrets=[ALERT_WEBHOOK_SECRET],
)
def threadlinePostAlert(event: DocumentEvent) -> None:
    """The webhook, in a function of its own: an address that does not answer is tried again by the platform, with back-off, and
    holds up nothing else."""
    changed = _told(event)
    if changed is None:
        return
    hook, timing = posting()
    if hook is not None:
        post(hook, changed, event.id, event.time, timing)


def post(hook: webhook.Webhook, changed: Told, event_id: str, event_time: datetime, timing: Timing) -> None:
    """Raises NotTaken while another try is worth it."""
    try:
        hook.post(changed, event_id)
    except webhook.NotTaken as failed:
        if datetime.now(UTC) - event_time > timedelta(seconds=timing.webhook_limit_s):
            log.alert_post_given_up(changed, str(failed))
            return
        log.alert_not_posted(changed, str(failed))
        raise


def _told(event: DocumentEvent) -> Told | None:
    before, after = event.before, event.after
    changed = change(before.value if before else None, after.value if after else None)
    return told(changed, after.id, after.value) if changed is not None and after is not None else None
