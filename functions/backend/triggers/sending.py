"""The send queue's function, its second door for the connector, and the sweeper's clock."""

from typing import Any

from firebase_functions import https_fn, scheduler_fn, tasks_fn
from flask import Request, Response, jsonify

from backend import log
from backend.deployment import (
    FLUSH_TIMEOUT_S,
    SEND_RATE,
    SEND_RETRY,
    SEND_TIMEOUT_S,
    SWEEP_TIMEOUT_S,
    WARM_INSTANCES,
    invoked_by,
)
from backend.edge import contained
from backend.params import CONNECTOR_SERVICE_ACCOUNT, FUNCTIONS_SERVICE_ACCOUNT, LOG_HASH_KEY, TASKS_SERVICE_ACCOUNT
from backend.send_queue import InvalidJob, parse_job
from backend.services import services
from core import contract, release
from core.errors import ErrorCode
from core.ids import InvalidId, account_id
from identity.tokens import CallerForbidden, KeysUnavailable, TokenRefused


@invoked_by(TASKS_SERVICE_ACCOUNT, FUNCTIONS_SERVICE_ACCOUNT)
@tasks_fn.on_task_dispatched(
    retry_config=SEND_RETRY,
    rate_limits=SEND_RATE,
    timeout_sec=SEND_TIMEOUT_S,
    min_instances=WARM_INSTANCES,
    secrets=[LOG_HASH_KEY],
)
@contained
def threadlineSend(request: https_fn.CallableRequest[Any]) -> None:
    """A send job. Raises only for what is broken: an error answer slows the queue for every account."""
    try:
        job = parse_job(request.data)
    except InvalidJob as error:
        raise https_fn.HttpsError(https_fn.FunctionsErrorCode.INVALID_ARGUMENT, str(error)) from error
    retries = request.raw_request.headers.get("X-CloudTasks-TaskRetryCount", "0")
    services().send.run(job, is_retry=retries != "0")


@https_fn.on_request(
    invoker=[CONNECTOR_SERVICE_ACCOUNT.expression], timeout_sec=FLUSH_TIMEOUT_S, secrets=[LOG_HASH_KEY]
)
@contained
def threadlineFlush(request: Request) -> Response:
    """Called by the connector when a session has opened: {"accountId"} -> {"threads"}; and when it is diagnosed: {"diagnosis": true}
    -> {"version", "build", "contract"}, which changes nothing."""
    try:
        services().flush_callers.check(request.headers)
    except TokenRefused as error:
        return _error(ErrorCode.UNAUTHENTICATED, str(error), 401)
    except CallerForbidden as error:
        return _error(ErrorCode.FORBIDDEN, str(error), 403)
    except KeysUnavailable as error:
        return _error(ErrorCode.UNAUTHENTICATED, str(error), 503)
    named = request.headers.get(contract.HEADER)
    complaint = contract.complaint(named)
    if complaint is not None:
        log.contract_refused(contract.number(named), contract.SERVED)
        return _error(ErrorCode.CONTRACT_UNSUPPORTED, complaint, 400)
    body = request.get_json(silent=True)
    fields = body if isinstance(body, dict) else {}
    if fields.get("diagnosis") is True:
        return jsonify({**release.identification(), "contract": contract.VERSION})
    try:
        account = account_id(fields.get("accountId"))
    except InvalidId as error:
        return _error(ErrorCode.INVALID_REQUEST, str(error), 400)
    return jsonify({"threads": services().flush.account(account)})


@scheduler_fn.on_schedule(schedule="* * * * *", timeout_sec=SWEEP_TIMEOUT_S, secrets=[LOG_HASH_KEY])
@contained
def threadlineSweep(_event: scheduler_fn.ScheduledEvent) -> None:
    """Each minute: triggers and jobs can be lost, so what they leave is looked for."""
    services().sweep.run()


def _error(code: ErrorCode, message: str, status: int) -> Response:
    response = jsonify({"error": {"code": str(code), "message": message}})
    response.status_code = status
    return response
