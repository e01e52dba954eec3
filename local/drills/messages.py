"""What keeps a message from going out, or ends it."""

from datetime import UTC, datetime, timedelta

from core import schema
from core.alert_types import Condition
from core.errors import ErrorCode
from local.drills.case import Case
from local.drills.drill import Drill
from local.faults.cast import Request
from local.faults.stage import outbox_document
from local.network.faults import FaultKind

_QUEUE_LIMIT_S = 47
"""The shortest that an account can have is 45 s at the usual scale."""


def _written(case: Case, request: Request, **changes: object) -> None:
    """By a server's key: the rules would refuse it."""
    case.ground.db.collection(schema.OUTBOX).document(request.request_id).create(outbox_document(request) | changes)


def cold_locked(case: Case) -> None:
    network, account = case.ground.network, case.ground.db.collection(schema.ACCOUNTS).document(case.name)
    case.begin_chat()
    network.fault(FaultKind.REFUSE, account=case.account.phone, code="463", times=1)
    asked: list[Request] = []
    case.strike("a message to a stranger was refused with 463", lambda: asked.append(case.ask()))
    case.shows(status="connected", degraded=True, degradedReason="cold_locked: ...", coldLockedUntil=datetime)
    case.alerts()
    case.screens("account", "queue")

    def lock_ends() -> None:
        case.ground.admin.run("pause", case.name)
        case.await_fields(status="disconnected", assignedWorkerId=None)
        account.update({"coldLockedUntil": datetime.now(UTC) + timedelta(seconds=2)})
        case.ground.admin.run("resume", case.name)

    case.mend("`coldLockedUntil` passed (it was set to 2 s from then)", lock_ends)
    case.is_over(status="connected", coldLockedUntil=None)
    case.talks()  # the contact's answer wakes the message, which would be looked at within an hour
    case.expect(case.contact_has(asked[0].text) == 1, "the contact has the refused message once")


def outcome_unknown(case: Case) -> None:
    case.begin_chat()
    fault = case.ground.network.fault(FaultKind.DROP, account=case.account.phone, times=None)
    asked: list[Request] = []
    case.strike("WhatsApp answered none of eight attempts", lambda: asked.append(case.ask()))
    case.alerts(limit_s=400.0)
    case.stands()
    case.ground.network.clear_faults(fault)
    (request,) = asked
    case.screens("account", "alerts", f"resolve {request.request_id}")
    case.expect(case.contact_has(request.text) == 0, "nothing of it has reached the contact")
    resend = ("resolve", request.request_id, "resend", "--by", "ana@example.com")
    case.mend("`resolve REQUEST_ID resend`", lambda: case.ground.admin.show(case.drill.name, *resend))
    case.is_over(status="connected")
    case.await_contact(request.text)
    case.talks()


def not_sent(case: Case) -> None:
    case.begin_chat()
    fault = case.ground.network.fault(FaultKind.NOT_SENT, contact=case.people.contact, times=None)
    case.strike("no keys of the contact could be had in eight attempts", case.ask)
    case.alerts(limit_s=400.0)
    case.stands()
    case.ground.network.clear_faults(fault)
    case.a_quiet_day_passes()
    case.talks()


def expired(case: Case) -> None:
    case.begin_chat()
    case.ground.db.collection(schema.ACCOUNTS).document(case.name).update({"queueLimitS": _QUEUE_LIMIT_S})
    case.ground.admin.run("pause", case.name)
    case.await_fields(status="disconnected", assignedWorkerId=None)
    case.strike(f"a message waited in a paused account for longer than its queueLimitS ({_QUEUE_LIMIT_S} s)", case.ask)
    case.alerts(limit_s=400.0)
    case.stands()
    case.screens("account", "alerts")
    case.ground.admin.run("resume", case.name)
    case.a_quiet_day_passes()
    case.talks()


def invalid_request(case: Case) -> None:
    case.begin_chat()
    case.strike(
        "a server's key wrote a request with a text that is too long",
        lambda: _written(case, case.draft(), text="x" * 5000),
    )
    case.alerts()
    case.stands()
    case.screens("alerts")
    case.a_quiet_day_passes()
    case.talks()


def wrong_request_id(case: Case) -> None:
    case.begin_chat()
    case.strike(
        "a server's key wrote a request under an id of another text",
        lambda: _written(case, case.draft(), text="another"),
    )
    case.alerts()
    case.stands()
    case.a_quiet_day_passes()
    case.talks()


def thread_unknown(case: Case) -> None:
    case.strike("a request named a thread that does not exist", lambda: _written(case, case.draft()))
    case.alerts()
    case.stands()
    case.a_quiet_day_passes()
    case.talks()


def account_unknown(case: Case) -> None:
    case.begin_chat()
    case.strike("a request was for an account that does not exist", lambda: _written(case, case.draft()))
    case.alerts()
    case.line.account = "there is none"
    case.screens("alerts")

    def create() -> None:
        case.ground.stage.ask_for_pairing(case.account)
        case.ground.stage.pair(case.account, 60.0)
        case.await_request(case.ask(), status="sent")

    case.mend("the account was created and paired, and a message sent", create)
    case.is_resolved()
    case.talks()


def endpoint_not_allowed(case: Case) -> None:
    case.begin_chat()
    lease = case.ground.db.collection(schema.LEASES).document(case.name)
    endpoint = (lease.get().to_dict() or {})["endpoint"]

    def strike() -> None:
        lease.update({"endpoint": "http://127.0.0.1:9"})
        asked.append(case.ask())

    asked: list[Request] = []
    case.strike("somebody wrote another address into its lease", strike)
    case.alerts()
    case.stands()
    case.screens("account", "queue")
    case.mend("the lease has its owner's address again", lambda: lease.update({"endpoint": endpoint}))
    case.await_request(asked[0], limit_s=120.0, status="sent")
    case.is_resolved()
    case.talks()


DRILLS = (
    Drill(name="cold_locked", cause="cold messages refused (463)", alert=Condition.COLD_LOCKED, run=cold_locked),
    Drill(
        name="outcome_unknown",
        cause="one message is in doubt",
        alert=ErrorCode.OUTCOME_UNKNOWN,
        run=outcome_unknown,
        is_long=True,
    ),
    Drill(
        name="not_sent", cause="a message provably did not leave", alert=ErrorCode.NOT_SENT, run=not_sent, is_long=True
    ),
    Drill(name="expired", cause="a message waited for too long", alert=ErrorCode.EXPIRED, run=expired, is_long=True),
    Drill(name="invalid_request", cause="a request is malformed", alert=ErrorCode.INVALID_REQUEST, run=invalid_request),
    Drill(
        name="wrong_request_id",
        cause="a request's id is not its own",
        alert=ErrorCode.WRONG_REQUEST_ID,
        run=wrong_request_id,
    ),
    Drill(name="thread_unknown", cause="a request for no thread", alert=ErrorCode.THREAD_UNKNOWN, run=thread_unknown),
    Drill(
        name="account_unknown",
        cause="a request for no account",
        alert=ErrorCode.ACCOUNT_UNKNOWN,
        run=account_unknown,
        is_new=True,
    ),
    Drill(
        name="endpoint_not_allowed",
        cause="functions and connector do not fit: the address",
        alert=ErrorCode.ENDPOINT_NOT_ALLOWED,
        run=endpoint_not_allowed,
    ),
)
