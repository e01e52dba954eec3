"""The callables of super-admins and employees: who may call, what they must pass, and how a refusal reads."""

from collections.abc import Callable
from typing import Any

from firebase_functions import https_fn
from firebase_functions.https_fn import CallableRequest, FunctionsErrorCode

from backend.accounts import MAX_NAME_CHARACTERS
from backend.deployment import CALLABLE_TIMEOUT_S
from backend.edge import contained
from backend.params import LOG_HASH_KEY
from backend.refusal import Refused
from backend.services import services
from core import access
from core.access import Person
from core.account import DesiredState
from core.decision import DecidedBy, Decision
from core.errors import ErrorCode, described
from core.ids import AccountId, InvalidId, account_id, checked_request_id, new_account_id, request_key
from core.phone_numbers import read_phone_number

_STATUS = {
    ErrorCode.UNAUTHENTICATED: FunctionsErrorCode.UNAUTHENTICATED,
    ErrorCode.FORBIDDEN: FunctionsErrorCode.PERMISSION_DENIED,
    ErrorCode.INVALID_REQUEST: FunctionsErrorCode.INVALID_ARGUMENT,
    ErrorCode.ACCOUNT_UNKNOWN: FunctionsErrorCode.NOT_FOUND,
    ErrorCode.ACCOUNT_EXISTS: FunctionsErrorCode.ALREADY_EXISTS,
    ErrorCode.NOT_ON_WHATSAPP: FunctionsErrorCode.FAILED_PRECONDITION,
    ErrorCode.NOT_CONNECTED: FunctionsErrorCode.FAILED_PRECONDITION,
    ErrorCode.ENDPOINT_NOT_ALLOWED: FunctionsErrorCode.FAILED_PRECONDITION,
    ErrorCode.NOT_FOUND: FunctionsErrorCode.NOT_FOUND,
    ErrorCode.NOT_CANCELLABLE: FunctionsErrorCode.FAILED_PRECONDITION,
    ErrorCode.NOT_UNCERTAIN: FunctionsErrorCode.FAILED_PRECONDITION,
    ErrorCode.PASSKEY_NOT_WANTED: FunctionsErrorCode.FAILED_PRECONDITION,
    ErrorCode.PASSKEY_REFUSED: FunctionsErrorCode.FAILED_PRECONDITION,
    ErrorCode.LOOKUP_LIMIT: FunctionsErrorCode.RESOURCE_EXHAUSTED,
    ErrorCode.CONNECTOR_REFUSED: FunctionsErrorCode.INTERNAL,
    ErrorCode.CONNECTOR_UNREACHABLE: FunctionsErrorCode.UNAVAILABLE,
}


@https_fn.on_call(timeout_sec=CALLABLE_TIMEOUT_S, secrets=[LOG_HASH_KEY])
@contained
def threadlineCreateAccount(request: CallableRequest[Any]) -> dict[str, object]:
    """Super-admins: {"name", "accountId"? or "requestKey"?} -> {"accountId"}. With one of the two, a call may be repeated."""

    def create(fields: dict[str, Any]) -> dict[str, object]:
        wanted, key = fields.get("accountId"), fields.get("requestKey")
        if wanted is not None and key is not None:
            raise Refused(ErrorCode.INVALID_REQUEST, "pass accountId or requestKey, not both")
        chosen = (
            account_id(wanted) if wanted is not None else new_account_id(request_key(key) if key is not None else None)
        )
        return {"accountId": services().accounts.create(_name(fields.get("name")), chosen)}

    return _answered(request, access.is_super_admin, create)


@https_fn.on_call(timeout_sec=CALLABLE_TIMEOUT_S, secrets=[LOG_HASH_KEY])
@contained
def threadlinePairAccount(request: CallableRequest[Any]) -> dict[str, object]:
    """Super-admins: {"accountId", "phoneE164"?} -> {}. With a number by phone code, else by QR; both appear in private/state.
    The number may be written in any common form."""

    def pair(fields: dict[str, Any]) -> dict[str, object]:
        services().accounts.pair(_account(fields), fields.get("phoneE164"))
        return {}

    return _answered(request, access.is_super_admin, pair)


@https_fn.on_call(timeout_sec=CALLABLE_TIMEOUT_S, secrets=[LOG_HASH_KEY])
@contained
def threadlineAnswerPasskey(request: CallableRequest[Any]) -> dict[str, object]:
    """Super-admins: {"accountId", "answer"} -> {}. `answer` is what the script of private/state's `passkey` has shown, as text or as
    the object that the text says."""

    def answer(fields: dict[str, Any]) -> dict[str, object]:
        services().passkeys.answer(_account(fields), fields.get("answer"))
        return {}

    return _answered(request, access.is_super_admin, answer)


@https_fn.on_call(timeout_sec=CALLABLE_TIMEOUT_S, secrets=[LOG_HASH_KEY])
@contained
def threadlineSetDesiredState(request: CallableRequest[Any]) -> dict[str, object]:
    """Super-admins: {"accountId", "desiredState": "connected" | "paused"} -> {}."""

    def set_state(fields: dict[str, Any]) -> dict[str, object]:
        wanted = fields.get("desiredState")
        if wanted not in list(DesiredState):
            raise Refused(ErrorCode.INVALID_REQUEST, "desiredState must be connected or paused")
        services().accounts.set_desired_state(_account(fields), DesiredState(wanted))
        return {}

    return _answered(request, access.is_super_admin, set_state)


@https_fn.on_call(timeout_sec=CALLABLE_TIMEOUT_S, secrets=[LOG_HASH_KEY])
@contained
def threadlineLogoutAccount(request: CallableRequest[Any]) -> dict[str, object]:
    """Super-admins: {"accountId"} -> {}. Unlinks the device."""

    def log_out(fields: dict[str, Any]) -> dict[str, object]:
        services().accounts.log_out(_account(fields))
        return {}

    return _answered(request, access.is_super_admin, log_out)


@https_fn.on_call(timeout_sec=CALLABLE_TIMEOUT_S, secrets=[LOG_HASH_KEY])
@contained
def threadlineCloseGap(request: CallableRequest[Any]) -> dict[str, object]:
    """Super-admins: {"accountId"} -> {}. Nobody waits for the missing messages any more."""

    def close(fields: dict[str, Any]) -> dict[str, object]:
        services().accounts.close_gap(_account(fields))
        return {}

    return _answered(request, access.is_super_admin, close)


@https_fn.on_call(timeout_sec=CALLABLE_TIMEOUT_S, secrets=[LOG_HASH_KEY])
@contained
def threadlineSetAccountLimits(request: CallableRequest[Any]) -> dict[str, object]:
    """Super-admins: {"accountId", "sendsPerMinute"?, "sendBurst"?, "coldPerDay"?, "warmUpDays"?, "queueLimitS"?}, null for a default
    -> {"limits": {name: {"value", "isDefault"}}}. With the id alone it changes nothing."""

    def set_limits(fields: dict[str, Any]) -> dict[str, object]:
        changes = {name: value for name, value in fields.items() if name != "accountId"}
        return {"limits": services().accounts.limits(_account(fields), changes)}

    return _answered(request, access.is_super_admin, set_limits)


@https_fn.on_call(timeout_sec=CALLABLE_TIMEOUT_S, secrets=[LOG_HASH_KEY])
@contained
def threadlineStartConversation(request: CallableRequest[Any]) -> dict[str, object]:
    """Employees: {"accountId", "phoneE164"} -> {"threadId"}. The number must be on WhatsApp."""

    def start(fields: dict[str, Any]) -> dict[str, object]:
        account, phone = _account(fields), read_phone_number(fields.get("phoneE164"))
        return {"threadId": services().conversations.start(account, phone, by=_person(request))}

    return _answered(request, access.is_employee, start)


@https_fn.on_call(timeout_sec=CALLABLE_TIMEOUT_S, secrets=[LOG_HASH_KEY])
@contained
def threadlineCancelRequest(request: CallableRequest[Any]) -> dict[str, object]:
    """Employees: {"requestId"} -> {}. Its creator alone, and only while it is queued."""

    def cancel(fields: dict[str, Any]) -> dict[str, object]:
        services().decisions.cancel(*checked_request_id(fields.get("requestId")), by=_caller(request))
        return {}

    return _answered(request, access.is_employee, cancel)


@https_fn.on_call(timeout_sec=CALLABLE_TIMEOUT_S, secrets=[LOG_HASH_KEY])
@contained
def threadlineResolveRequest(request: CallableRequest[Any]) -> dict[str, object]:
    """Super-admins: {"requestId", "decision"?: "resend" | "markSent" | "markFailed"} -> what is known (core/decision.known).
    Without a decision it changes nothing."""

    def resolve(fields: dict[str, Any]) -> dict[str, object]:
        request_id, thread = checked_request_id(fields.get("requestId"))
        decision = fields.get("decision")
        if decision is None:
            return services().decisions.look(request_id, thread)
        if decision not in list(Decision):
            raise Refused(ErrorCode.INVALID_REQUEST, "decision must be resend, markSent or markFailed")
        return services().decisions.resolve(request_id, thread, Decision(decision), by=_caller(request))

    return _answered(request, access.is_super_admin, resolve)


def _answered(
    request: CallableRequest[Any],
    may: Callable[[dict[str, Any]], bool],
    act: Callable[[dict[str, Any]], dict[str, object]],
) -> dict[str, object]:
    """Checks the caller, acts, and turns each refusal into a callable's error: `code: sentence`, the code in details."""
    try:
        if request.auth is None:
            raise Refused(ErrorCode.UNAUTHENTICATED, "sign in first")
        if not may(dict(request.auth.token or {})):
            raise Refused(ErrorCode.FORBIDDEN, "your role does not allow this; ask a super-admin")
        if not isinstance(request.data, dict):
            raise Refused(ErrorCode.INVALID_REQUEST, "pass an object")
        return act(request.data)
    except InvalidId as error:
        raise _https_error(ErrorCode.INVALID_REQUEST, str(error)) from error
    except Refused as error:
        raise _https_error(error.code, error.detail) from error


def _https_error(code: ErrorCode, detail: str) -> https_fn.HttpsError:
    return https_fn.HttpsError(_STATUS[code], described(code, detail), {"code": str(code)})


def _caller(request: CallableRequest[Any]) -> DecidedBy:
    person = _person(request)
    return DecidedBy(uid=person.uid, email=person.email)


def _person(request: CallableRequest[Any]) -> Person:
    """Of a call whose sign-in was checked."""
    assert request.auth is not None
    email = (request.auth.token or {}).get("email")
    return Person(uid=str(request.auth.uid), email=email if isinstance(email, str) else None)


def _account(fields: dict[str, Any]) -> AccountId:
    return account_id(fields.get("accountId"))


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_NAME_CHARACTERS:
        raise Refused(ErrorCode.INVALID_REQUEST, f"name must be a string of 1 to {MAX_NAME_CHARACTERS} characters")
    return value.strip()
