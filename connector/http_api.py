"""The connector's HTTP address: what the functions may ask (with an identity token), and what a platform may see."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from connector import log, metrics
from connector.bodies import InvalidCall, parse_number, parse_passkey_answer, parse_send
from connector.diagnosis import Diagnosis
from connector.engine import CallMalformed, EngineFailed, EngineRefused, SessionNotOpen
from connector.health import Health
from connector.ownership import Ownership
from connector.sending import NOT_OWNER, OtherSendUnderWay
from connector.supervisor import Supervisor
from connector.takeover import TakeOver
from core import contract
from core.errors import ErrorCode
from core.ids import AccountId, InvalidId, account_id, canonical_chat, chat_id
from identity.tokens import CallerForbidden, KeysUnavailable, TokenRefused, TokenVerifier

_MAX_BODY_BYTES = 64 * 1024
"""A text of 4,096 units takes at most 24 KiB of JSON."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class HttpApi:
    supervisor: Supervisor
    take_over: TakeOver
    verifier: TokenVerifier
    health: Health
    diagnosis: Diagnosis

    def application(self) -> web.Application:
        application = web.Application(middlewares=[_answer_errors, self._check_caller], client_max_size=_MAX_BODY_BYTES)
        application.router.add_post("/v1/send", self.send)
        application.router.add_post("/v1/accounts/{accountId}/poke", self.poke)
        application.router.add_post("/v1/accounts/{accountId}/is-on-whatsapp", self.is_on_whatsapp)
        application.router.add_post("/v1/accounts/{accountId}/answer-passkey", self.answer_passkey)
        application.router.add_post("/v1/diagnose", self.diagnose)
        application.router.add_get("/healthz", self.healthz)
        application.router.add_get("/readyz", self.readyz)
        application.router.add_get("/metrics", self.metrics)
        return application

    async def send(self, request: web.Request) -> web.Response:
        asked = parse_send(await request.read())
        owned = self._owned(asked.account)
        try:
            answer = NOT_OWNER if owned is None else await owned.sends.send(asked)
        except OtherSendUnderWay as error:
            message = "waMessageKey is under way with another text or chat"
            raise InvalidCall(message) from error
        body = {"outcome": str(answer.outcome)}
        if answer.reason:
            body["reason"] = answer.reason
        if answer.not_before is not None:
            body["notBefore"] = answer.not_before.isoformat()
        return web.json_response(body)

    async def poke(self, request: web.Request) -> web.Response:
        account = _account(request)
        self._owned(account)
        self.supervisor.poke(account)
        return web.json_response({}, status=202)

    async def is_on_whatsapp(self, request: web.Request) -> web.Response:
        account, number = _account(request), parse_number(await request.read())
        owned = self._owned(account)
        if owned is None or not owned.session.is_connected or not owned.term.is_live():
            return _not_connected()
        try:
            found = await owned.engine.is_on_whatsapp(owned.term, number)
        except EngineRefused:
            return _not_connected()
        except EngineFailed as error:
            log.engine_failed(account, "is_on_whatsapp", error)
            return error_response(502, ErrorCode.ENGINE_FAILED, "the engine did not answer; try again")
        if not found.registered:
            return web.json_response({"registered": False})
        try:
            return web.json_response({"registered": True, "chatId": chat_id(canonical_chat(found.jid, ""))})
        except InvalidId:
            return error_response(502, ErrorCode.ENGINE_FAILED, "the engine named a chat that is none")

    async def answer_passkey(self, request: web.Request) -> web.Response:
        account, answer = _account(request), parse_passkey_answer(await request.read())
        owned = self._owned(account)
        if owned is None or not owned.term.is_live():
            return _not_connected()
        try:
            is_taken = await owned.engine.answer_passkey(owned.term, answer)
        except SessionNotOpen:
            return _not_connected()
        except CallMalformed as error:
            raise InvalidCall(error.detail) from error
        except EngineRefused as error:
            return error_response(409, ErrorCode.PASSKEY_NOT_WANTED, error.detail)
        except EngineFailed as error:
            log.engine_failed(account, "answer_passkey", error)
            return error_response(502, ErrorCode.ENGINE_FAILED, "the engine did not answer; try again")
        if not is_taken:
            return error_response(
                409, ErrorCode.PASSKEY_REFUSED, "WhatsApp refused the answer; begin the pairing again"
            )
        return web.json_response({})

    async def diagnose(self, _request: web.Request) -> web.Response:
        return web.json_response(await self.diagnosis.report())

    def _owned(self, account: AccountId) -> Ownership | None:
        """Handles a call for an account that this instance does not own. An older instance at this address may own it."""
        owned = self.supervisor.owned(account)
        if owned is None:
            self.take_over.called(account)
        return owned

    async def healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(self, _request: web.Request) -> web.Response:
        parts = await self.health.parts()
        return web.json_response(parts, status=200 if all(parts.values()) else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})

    @web.middleware
    async def _check_caller(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Everything under /v1 is for the functions alone, addresses that do not exist included, and for those that it understands."""
        if request.path.startswith("/v1"):
            # In a thread: the key set may have to be fetched.
            await asyncio.to_thread(self.verifier.check, request.headers)
            named = request.headers.get(contract.HEADER)
            complaint = contract.complaint(named)
            if complaint is not None:
                log.contract_refused(contract.number(named), contract.SERVED)
                raise InvalidCall(complaint, ErrorCode.CONTRACT_UNSUPPORTED)
        return await handler(request)


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error has a body of the same form."""
    try:
        return await handler(request)
    except InvalidCall as error:
        return error_response(400, error.code, str(error))
    except TokenRefused as error:
        return error_response(401, ErrorCode.UNAUTHENTICATED, str(error))
    except CallerForbidden as error:
        return error_response(403, ErrorCode.FORBIDDEN, str(error))
    except KeysUnavailable as error:
        return error_response(503, ErrorCode.UNAUTHENTICATED, str(error))
    except web.HTTPRequestEntityTooLarge:
        return error_response(400, ErrorCode.INVALID_REQUEST, f"the body must not pass {_MAX_BODY_BYTES} bytes")
    except web.HTTPMethodNotAllowed as error:
        return error_response(
            405, ErrorCode.NOT_FOUND, f"this address takes {', '.join(sorted(error.allowed_methods))}"
        )
    except web.HTTPNotFound:
        return error_response(404, ErrorCode.NOT_FOUND, "there is no such address here")
    except (web.HTTPClientError, BadHttpMessage, web.RequestPayloadError, ConnectionResetError):
        return error_response(400, ErrorCode.INVALID_REQUEST, "the request is not HTTP as this address takes it")
    except Exception as error:  # noqa: BLE001 - the process's edge
        log.crashed("an HTTP request", error)
        return error_response(500, ErrorCode.ENGINE_FAILED, "the connector failed; its log says where")


def error_response(status: int, code: ErrorCode, message: str) -> web.Response:
    return web.json_response({"error": {"code": str(code), "message": message}}, status=status)


def _account(request: web.Request) -> AccountId:
    try:
        return account_id(request.match_info["accountId"])
    except InvalidId as error:
        raise InvalidCall(str(error)) from error


def _not_connected() -> web.Response:
    return error_response(409, ErrorCode.NOT_CONNECTED, "this connector has no connected session of the account")
