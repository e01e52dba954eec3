"""`resolve`: what is known of a request, and what a person decides about one whose end nobody knows.

It writes what the callable threadlineResolveRequest writes (functions/backend/decisions.py), from the same functions of core/decision and under
the same preconditions; tests/connector_admin holds the documents of both side by side. Calling the callable itself would need a
super-admin's sign-in at the terminal. What the callable does beside, a job for the rest of the chat's queue, the sweeper does.
"""

from argparse import Namespace
from dataclasses import dataclass

from connector.admin import replies
from connector.admin.condition import PROGRAM
from connector.admin.context import Change, Conflict, Context, Creation, Stored, firestore_emulator, now
from connector.admin.endings import Failed, NotFound
from connector.admin.screen import pairs
from core import decision, message, outbox, schema
from core.alert import alert_id, is_open, resolved_fields
from core.decision import DecidedBy, Decision
from core.delivery import Delivery
from core.errors import ErrorCode
from core.ids import RequestId, ThreadId, outbound_key, wa_message_id
from core.outbox import Refusal

UID = "command-line"
"""decidedByUid of a decision that was made here: no user of Firebase's."""
WORDS = {"resend": Decision.RESEND, "mark-sent": Decision.MARK_SENT, "mark-failed": Decision.MARK_FAILED}
_TRIES = 5
_MEANINGS = {
    Decision.RESEND: "It is sent again, as a new message at the end of its chat's queue; the contact may get it twice.",
    Decision.MARK_SENT: "It stands as sent.",
    Decision.MARK_FAILED: "It stands as failed; later proof still makes it sent.",
}


@dataclass(frozen=True, kw_only=True)
class Known:
    request: Stored
    message: Stored | None

    @property
    def delivery(self) -> Delivery | None:
        return message.parse(self.message.document).delivery if self.message else None


def resolve(context: Context, arguments: Namespace) -> None:
    request, thread = arguments.request
    standing = read(context, request, thread)
    if arguments.decision is None:
        _show(context, request, standing)
        return
    decided = WORDS[arguments.decision]
    by = DecidedBy(uid=UID, email=arguments.by or _own_email(context))
    for _ in range(_TRIES):
        if decision.is_made_already(standing.request.document, decided) or decide(context, standing, decided, by):
            break
        standing = read(context, request, thread)
    else:
        raise Failed("the decision could not be written: others changed the request each time; try again")
    if not context.screen.as_json:
        context.screen.say_folded(f"Decided: {decided}. {_MEANINGS[decided]}")
        context.screen.say()
    _show(context, request, read(context, request, thread))


def read(context: Context, request: RequestId, thread: ThreadId) -> Known:
    found, its_message = context.read_all(
        [
            context.reference(schema.OUTBOX, request),
            context.reference(schema.MESSAGES, wa_message_id(thread, outbound_key(request))),
        ]
    )
    if found is None:
        raise NotFound(
            f"there is no such request in project {context.project}; it may have been removed after its time"
        )
    return Known(request=found, message=its_message)


def decide(context: Context, standing: Known, decided: Decision, by: DecidedBy) -> bool:
    """Whether it is written; if not, somebody else wrote first. Raises Failed where there is nothing to decide."""
    at, delivery = now(), standing.delivery or Delivery.QUEUED
    document = standing.request.document
    refusal = decision.problem(document, delivery, at, decided)
    if refusal is not None:
        raise Failed(f"there is nothing to decide: {refusal.detail}")
    if standing.message is None and not outbox.queue_state(document).is_finished():
        raise Failed("its message does not stand yet; the sweeper makes it within two minutes, then decide")
    request = outbox.parse_request(standing.request.id, document)
    if isinstance(request, Refusal):
        raise Failed(f"there is nothing to decide: the next send job refuses it ({request.detail})")
    settlement = decision.decided(decided, request, by, delivery, at)
    writes: list[Change | Creation] = [
        Change(reference=standing.request.reference, fields=settlement.request, at=standing.request.update_time)
    ]
    if standing.message is not None:
        writes += replies.outcome(
            context,
            request.thread_id,
            standing.message,
            settlement.message,
            left_at=outbox.queue_state(document).last_tried_at or at,
            at=at,
            is_certain=True if decided is Decision.MARK_FAILED else None,
        )
    if decided is Decision.RESEND:
        resent, fields = decision.resent(request, at)
        writes.append(Creation(reference=context.reference(schema.OUTBOX, resent), fields=fields))
    alert = context.read(schema.ALERTS, alert_id(ErrorCode.OUTCOME_UNKNOWN, request.request_id))
    if alert is not None and is_open(alert.document):
        writes.append(Change(reference=alert.reference, fields=resolved_fields(at)))
    try:
        context.commit(writes)
    except Conflict:
        if decided is Decision.RESEND:
            _refuse_if_taken(context, standing, decision.resent(request, at)[0])
        return False
    return True


def _refuse_if_taken(context: Context, standing: Known, resent: RequestId) -> None:
    """Raises Failed where a request that is not this decision's stands under the id of the one to be made."""
    if context.read(schema.OUTBOX, resent) is None:
        return
    current = context.read(schema.OUTBOX, standing.request.id)  # read after it: a decision writes both together
    if current is not None and current.update_time == standing.request.update_time:
        raise Failed(decision.TAKEN)


def _show(context: Context, request: RequestId, standing: Known) -> None:
    known = decision.known(standing.request.document, standing.delivery)
    if context.screen.as_json:
        context.screen.data({"requestId": request, **known})
        return
    for line in pairs({name: "-" if value is None else str(value) for name, value in known.items()}):
        context.screen.say(line)
    problem = decision.problem(standing.request.document, standing.delivery or Delivery.QUEUED, now())
    context.screen.say()
    if problem is not None:
        context.screen.say_folded(f"There is nothing to decide: {problem.detail}.")
    else:
        may_be_resent = decision.may_be_resent(standing.request.document)
        words = [word for word, decided in WORDS.items() if may_be_resent or decided is not Decision.RESEND]
        context.screen.say_folded(
            f"Look at the phone whether the message stands there, then: `{PROGRAM} resolve REQUEST_ID {'|'.join(words)}`"
        )


def _own_email(context: Context) -> str | None:
    """Of whom the credentials name: a service account always, a person not always."""
    if firestore_emulator():
        return None
    credentials = context.credentials[0]
    for name in ("service_account_email", "account"):
        found = getattr(credentials, name, None)
        if isinstance(found, str) and "@" in found:
            return found
    return None
