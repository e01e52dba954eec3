"""Calls to the connector, and what each answer proves."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import httpx
from google.auth.exceptions import GoogleAuthError

from backend import log
from core import contract
from core.account import Lease
from core.errors import ErrorCode
from core.ids import AccountId, ChatId, InvalidId, chat_id
from core.outbox import Claim, Outcome, Request, SendResult
from identity.tokens import IdentityTokens

_CALL_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 5.0
_NOTIFY_TIMEOUT_S = 3.0
"""Short, since a person may wait: a connector answers a notification at once, and a lost one only delays its work."""
_DIAGNOSIS_TIMEOUT_S = 25.0
"""Long, since the connector calls the flush function meanwhile, which may have to start (connector/diagnosis.py)."""
_REFUSALS = frozenset({400, 401, 403, 404, 405})
_NOT_TAKEN = frozenset({408, 413})
"""A platform's answers in the connector's place: the call never reached it."""
_NO_INSTANCE = 429
"""Cloud Run's answer where no instance could take the call (https://cloud.google.com/run/docs/about-instance-autoscaling)."""
_PASSKEY_REFUSALS = frozenset({ErrorCode.INVALID_REQUEST, ErrorCode.PASSKEY_NOT_WANTED, ErrorCode.PASSKEY_REFUSED})
"""Of which the connector's own words tell the person what to do."""
_CONNECTOR_OUTCOMES = frozenset(
    {
        Outcome.SENT,
        Outcome.NOT_SENT,
        Outcome.REJECTED,
        Outcome.UNKNOWN,
        Outcome.NOT_CONNECTED,
        Outcome.NOT_OWNER,
        Outcome.NOT_BEFORE,
        Outcome.EXPIRED,
    }
)


class NoIdentityToken(Exception):
    """The metadata server gave none just now: nothing was called."""


class ConnectorUnreachable(Exception):
    """No connector answered, or none with what was asked for."""


class ConnectorRefused(Exception):
    """The connector refused the call itself: token, settings or versions do not fit."""


class NotConnected(Exception):
    """The connector has no open session of this account."""


class EndpointNotAllowed(Exception):
    """The lease names an address outside the allow-list: neither a text nor a token goes there."""


class PasskeyNotTaken(Exception):
    """A passkey's answer was refused, by WhatsApp or before: `detail` is for the person who signed."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


CONNECTOR_ERRORS: Mapping[type[Exception], tuple[ErrorCode, str]] = {
    NotConnected: (ErrorCode.NOT_CONNECTED, "the account is not connected"),
    EndpointNotAllowed: (ErrorCode.ENDPOINT_NOT_ALLOWED, "the account's connector is not on the allow-list"),
    ConnectorRefused: (ErrorCode.CONNECTOR_REFUSED, "the connector refused the functions' call"),
    ConnectorUnreachable: (ErrorCode.CONNECTOR_UNREACHABLE, "the connector did not answer; try again"),
}
"""What a caller is told of each."""


class Diagnosed(StrEnum):
    """How a connector answered a call for a diagnosis."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """The connector answered another status than 200. The status and, if there is one, the error code say why."""
    UNREACHABLE = "unreachable"
    NO_IDENTITY = "no_identity"
    """The metadata server gave no identity token, so nothing was called."""


@dataclass(frozen=True, kw_only=True)
class DiagnosisAnswer:
    outcome: Diagnosed
    status: int | None = None
    code: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ConnectorClient:
    """Safe to use from several threads."""

    http: httpx.Client
    tokens: IdentityTokens
    allowed: frozenset[str]

    def allows(self, endpoint: str | None) -> bool:
        return endpoint in self.allowed

    def send(self, endpoint: str, request: Request, claim: Claim, now: datetime, *, is_reply: bool) -> SendResult:
        """Hands a request to its account's owner and waits for the outcome, until shortly after notAfter. A connector that does not
        know `isReply` ignores it."""
        remaining_s = (claim.not_after - now).total_seconds()
        if remaining_s <= 0:
            return SendResult(outcome=Outcome.NOT_SENT, reason="no time was left")
        body = {
            "accountId": request.account_id,
            "chatId": request.chat_id,
            "waMessageKey": request.key,
            "text": request.text,
            "notAfter": claim.not_after.astimezone(UTC).isoformat(),
            "isReply": is_reply,
        }
        # The answer to an attempt that ended just at notAfter is still worth having; the claim lasts a little longer.
        slack_s = (claim.until - claim.not_after).total_seconds() / 5
        timeout = httpx.Timeout(remaining_s + slack_s, connect=min(remaining_s, _CONNECT_TIMEOUT_S))
        try:
            response = self._post(endpoint, "/v1/send", body, timeout)
        except NoIdentityToken:
            return SendResult(outcome=Outcome.NOT_BEFORE, reason="no identity token")
        except httpx.PoolTimeout:
            return SendResult(outcome=Outcome.UNREACHABLE, reason="too many calls at once")
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return SendResult(outcome=Outcome.UNREACHABLE, reason="no connection")
        except httpx.HTTPError:
            return SendResult(outcome=Outcome.NO_ANSWER)
        return _send_result(response)

    def is_on_whatsapp(self, lease: Lease, account: AccountId, phone_e164: str) -> ChatId | None:
        """The chat of a number, or None where it has no WhatsApp account.

        Raises NotConnected, EndpointNotAllowed, ConnectorRefused and ConnectorUnreachable.
        """
        response = self._call(lease, account, "is-on-whatsapp", {"phoneE164": phone_e164})
        if response.status_code == httpx.codes.CONFLICT:
            raise NotConnected
        if response.status_code in _REFUSALS:
            raise ConnectorRefused
        answer = _json_object(response)
        if response.status_code != httpx.codes.OK or not isinstance(answer.get("registered"), bool):
            raise ConnectorUnreachable
        try:
            return chat_id(answer.get("chatId")) if answer["registered"] else None
        except InvalidId as error:
            raise ConnectorUnreachable from error

    def answer_passkey(self, lease: Lease, account: AccountId, answer: str) -> None:
        """Hands over a passkey's answer. Returns when WhatsApp has taken it.

        Raises PasskeyNotTaken, NotConnected, EndpointNotAllowed, ConnectorRefused and ConnectorUnreachable.
        """
        response = self._call(lease, account, "answer-passkey", {"answer": answer})
        if response.is_success:
            return
        code = _code(response)
        if code in _PASSKEY_REFUSALS:
            raise PasskeyNotTaken(code, str(_error(response).get("message")))
        if response.status_code == httpx.codes.CONFLICT:
            raise NotConnected
        if response.status_code in _REFUSALS:
            raise ConnectorRefused
        raise ConnectorUnreachable

    def _call(self, lease: Lease, account: AccountId, name: str, body: Mapping[str, object]) -> httpx.Response:
        """Asks an account's owner. Raises NotConnected, EndpointNotAllowed and ConnectorUnreachable."""
        if lease.endpoint is None:
            raise NotConnected
        if not self.allows(lease.endpoint):
            raise EndpointNotAllowed
        path = f"/v1/accounts/{account}/{name}"
        try:
            return self._post(lease.endpoint, path, body, httpx.Timeout(_CALL_TIMEOUT_S))
        except (httpx.HTTPError, NoIdentityToken) as error:
            raise ConnectorUnreachable from error

    def poke(self, endpoint: str | None, account: AccountId, silent: set[str] | None = None) -> bool:
        """Notifies a connector to look at the account's lease: its owner, or, where there is none, all shards side by side.
        Whether one answered, within 3 s.

        `silent`: those that did not answer before, which are not asked; those that do not answer now are added to it. Without it,
        the first answer is enough.
        """
        unanswering = set() if silent is None else silent
        candidates = {endpoint} if endpoint is not None and self.allows(endpoint) else set(self.allowed)
        candidates -= unanswering
        if not candidates:
            return False
        pool = ThreadPoolExecutor(len(candidates))
        asked = {pool.submit(self._notify, candidate, account): candidate for candidate in candidates}
        is_taken, answering = False, set[str]()
        with suppress(TimeoutError):
            for done in as_completed(asked, timeout=_NOTIFY_TIMEOUT_S):
                if (answer := done.result()) is not None:
                    answering.add(asked[done])
                    is_taken = is_taken or answer
                if is_taken and silent is None:
                    break
        pool.shutdown(wait=False, cancel_futures=True)
        unanswering |= candidates - answering
        return is_taken

    def _notify(self, endpoint: str, account: AccountId) -> bool | None:
        """Whether the connector takes the notification; None: it did not answer."""
        path = f"/v1/accounts/{account}/poke"
        try:
            return self._post(endpoint, path, {}, httpx.Timeout(_NOTIFY_TIMEOUT_S)).is_success
        except (httpx.HTTPError, NoIdentityToken):
            return None

    def diagnose(self, endpoint: str) -> DiagnosisAnswer:
        """Asks an allowed connector what it runs and what it reaches. Changes nothing there."""
        try:
            response = self._post(endpoint, "/v1/diagnose", {}, httpx.Timeout(_DIAGNOSIS_TIMEOUT_S))
        except NoIdentityToken:
            return DiagnosisAnswer(outcome=Diagnosed.NO_IDENTITY)
        except httpx.HTTPError:
            return DiagnosisAnswer(outcome=Diagnosed.UNREACHABLE)
        if response.status_code != httpx.codes.OK:
            code = _code(response)
            return DiagnosisAnswer(
                outcome=Diagnosed.REFUSED, status=response.status_code, code=str(code) if code else None
            )
        return DiagnosisAnswer(outcome=Diagnosed.ANSWERED, body=_json_object(response))

    def _post(self, endpoint: str, path: str, body: Mapping[str, object], timeout: httpx.Timeout) -> httpx.Response:
        try:
            headers = {**self.tokens.headers(endpoint), contract.HEADER: str(contract.VERSION)}
        except GoogleAuthError as error:
            raise NoIdentityToken from error
        response = self.http.post(f"{endpoint}{path}", json=dict(body), headers=headers, timeout=timeout)
        if _code(response) is ErrorCode.CONTRACT_UNSUPPORTED:
            log.contract_refused_by_connector(contract.VERSION, contract.served_in(_error(response).get("message")))
        return response


def _send_result(response: httpx.Response) -> SendResult:
    if response.status_code in _REFUSALS or _has_no_keys(response):
        return SendResult(outcome=Outcome.REFUSED, reason=_refusal(response))
    if response.status_code == _NO_INSTANCE:
        return SendResult(outcome=Outcome.UNREACHABLE, reason=str(_NO_INSTANCE))
    if response.status_code in _NOT_TAKEN:
        return SendResult(outcome=Outcome.NOT_SENT, reason=str(response.status_code))
    answer = _json_object(response)
    outcome, reason, not_before = answer.get("outcome"), answer.get("reason"), answer.get("notBefore")
    if response.status_code != httpx.codes.OK or outcome not in _CONNECTOR_OUTCOMES:
        return SendResult(outcome=Outcome.NO_ANSWER)
    return SendResult(
        outcome=Outcome(outcome),
        reason=reason if isinstance(reason, str) else "",
        not_before=_time(not_before),
    )


def _has_no_keys(response: httpx.Response) -> bool:
    """The connector could not check the token: it took nothing. Any other 503 may be a proxy's, and prove nothing."""
    return response.status_code == httpx.codes.SERVICE_UNAVAILABLE and _code(response) == ErrorCode.UNAUTHENTICATED


def _refusal(response: httpx.Response) -> str:
    """The status, and the code that the connector gave where it is one of ours: its words could quote anything."""
    code = _code(response)
    return f"{response.status_code} {code}" if code else str(response.status_code)


def _code(response: httpx.Response) -> ErrorCode | None:
    code = _error(response).get("code")
    return ErrorCode(code) if isinstance(code, str) and code in list(ErrorCode) else None


def _error(response: httpx.Response) -> dict[str, Any]:
    error = {} if response.is_success else _json_object(response).get("error")
    return error if isinstance(error, dict) else {}


def _json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return parsed if parsed.tzinfo is not None else None
