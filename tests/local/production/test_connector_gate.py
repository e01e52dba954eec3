"""The gate before the connector: Cloud Run's front end first, then the faults and the record of sends."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from identity.headers import AUTHORIZATION, SERVERLESS_AUTHORIZATION, presented_token, token_headers
from identity.tokens import TokenRefused, TokenVerifier
from local.cloud_run.forwarding import Forwarding, new_session
from local.cloud_run.front import Front, connector_service
from local.cloud_run.google_tokens import GoogleTokens
from local.identity_server import CONNECTOR_ACCOUNT, FUNCTIONS_ACCOUNT, issuer_application
from local.ports import free_port
from local.production.connector_gate import ConnectorGate
from local.serving import HOST, start_http
from local.signing import SigningKey
from tests.local.handler import Handler, handler_served

SEND = {"waMessageKey": "key", "accountId": "shop", "notAfter": "2026-03-01T12:00:00+00:00"}


@dataclass(frozen=True, kw_only=True)
class Stage:
    url: str
    gate: ConnectorGate
    connector: Handler
    key: SigningKey

    def token(self, account: str = FUNCTIONS_ACCOUNT) -> str:
        return self.key.token(audience=self.url, service_account=account)

    async def send(self, headers: dict[str, str]) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/v1/send", json=SEND, headers=headers) as response,
        ):
            return response.status, await response.text()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    key, certs_port, port = SigningKey.generate(), free_port(), free_port()
    url = f"http://{HOST}:{port}"
    async with handler_served() as connector, new_session() as session:
        connector.body = b'{"outcome": "sent"}'
        connector_url = connector.url.removesuffix("/function")
        front = Front(GoogleTokens(f"http://{HOST}:{certs_port}/certs", session))
        service = connector_service(url, FUNCTIONS_ACCOUNT)
        gate = ConnectorGate(connector_url, service, front, Forwarding(session, pending_s=0.2), late_s=0.1)
        runners = [await start_http(issuer_application(key), certs_port), await start_http(gate.application(), port)]
        yield Stage(url=url, gate=gate, connector=connector, key=key)
        for runner in runners:
            await runner.cleanup()


async def test_a_send_with_both_headers_reaches_the_connector_with_one_token_that_it_can_verify(stage: Stage) -> None:
    token = stage.token()
    assert (await stage.send(dict(token_headers(token))))[0] == 200
    [asked] = stage.connector.asked
    assert presented_token(asked.headers) == f"Bearer {token}"
    assert [post.wa_message_key for post in stage.gate.posts] == ["key"]


@pytest.mark.parametrize("name", [AUTHORIZATION, SERVERLESS_AUTHORIZATION])
async def test_a_send_with_one_header_reaches_the_connector_without_a_token_that_it_believes(
    stage: Stage, name: str
) -> None:
    assert (await stage.send({name: f"Bearer {stage.token()}"}))[0] == 200
    [asked] = stage.connector.asked
    verifier = TokenVerifier(audience=stage.url, service_account=FUNCTIONS_ACCOUNT, certs_url="http://127.0.0.1:9/")
    with pytest.raises(TokenRefused):
        verifier.check(asked.headers)


async def test_a_send_for_which_there_is_no_connector_is_answered_429_and_not_recorded(stage: Stage) -> None:
    stage.gate.connector = f"http://{HOST}:{free_port()}"
    assert (await stage.send(dict(token_headers(stage.token()))))[0] == 429
    assert stage.gate.posts == []


async def test_a_caller_that_may_not_call_the_connector_is_answered_by_the_front_and_not_recorded(stage: Stage) -> None:
    status, text = await stage.send(dict(token_headers(stage.token(CONNECTOR_ACCOUNT))))
    assert (status, "<title>403 Forbidden</title>" in text) == (403, True)
    assert (stage.connector.asked, stage.gate.posts) == ([], [])
