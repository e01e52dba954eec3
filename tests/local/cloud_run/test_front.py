"""The IAM check, the signature that it removes, and what the front answers in a service's place."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from identity.headers import AUTHORIZATION, REMOVED_SIGNATURE, SERVERLESS_AUTHORIZATION, presented_token, token_headers
from local.cloud_run import routes
from local.cloud_run.front import Removal, Service
from local.signing import TOKEN_LIFETIME_S, SigningKey
from tests.local.cloud_run.conftest import Fronted


def bearer(token: str) -> str:
    return f"Bearer {token}"


def stripped(token: str) -> str:
    return f"Bearer {token.rpartition('.')[0]}.{REMOVED_SIGNATURE}"


@pytest.mark.parametrize("name", [AUTHORIZATION, SERVERLESS_AUTHORIZATION])
async def test_an_invokers_token_gets_through_in_either_header_and_loses_its_signature(
    fronted: Fronted, name: str
) -> None:
    token = fronted.token()
    assert (await fronted.call("/private", {name: bearer(token)})).status == 200
    assert fronted.seen(name) == stripped(token)


async def test_the_check_reads_the_serverless_header_and_leaves_the_other_as_it_is(fronted: Fronted) -> None:
    token = fronted.token()
    headers = {AUTHORIZATION: "Bearer of-the-application", SERVERLESS_AUTHORIZATION: bearer(token)}
    assert (await fronted.call("/private", headers)).status == 200
    assert (fronted.seen(AUTHORIZATION), fronted.seen(SERVERLESS_AUTHORIZATION)) == (
        headers[AUTHORIZATION],
        stripped(token),
    )


async def test_a_bad_serverless_header_is_not_made_good_by_the_other(fronted: Fronted) -> None:
    headers = {AUTHORIZATION: bearer(fronted.token()), SERVERLESS_AUTHORIZATION: "Bearer not.a.token"}
    assert (await fronted.call("/private", headers)).status == 401
    assert fronted.handler.asked == []


@pytest.mark.parametrize("removal", Removal, indirect=True)
async def test_a_caller_that_sends_both_headers_is_believed_whichever_signature_is_removed(fronted: Fronted) -> None:
    token = fronted.token()
    assert (await fronted.call("/private", dict(token_headers(token)))).status == 200
    assert presented_token(fronted.handler.asked[-1].headers) == bearer(token)


@pytest.mark.parametrize("removal", [Removal.CONSUMED, Removal.AUTHORIZATION], indirect=True)
async def test_a_caller_that_sends_authorization_alone_reaches_the_service_with_no_token_to_verify(
    fronted: Fronted,
) -> None:
    assert (await fronted.call("/private", {AUTHORIZATION: bearer(fronted.token())})).status == 200
    assert presented_token(fronted.handler.asked[-1].headers) is None


async def test_who_has_no_token_or_may_not_call_the_service_gets_a_403_page(fronted: Fronted) -> None:
    for headers in ({}, {AUTHORIZATION: "Basic abc"}, {AUTHORIZATION: bearer(fronted.token(account="b@example.com"))}):
        reply = await fronted.call("/private/path", headers)
        assert (reply.status, reply.headers["Content-Type"].split(";")[0]) == (403, "text/html")
        assert "permission to get URL <code>/private/path</code> from this server" in reply.text
    assert fronted.handler.asked == []


async def test_a_token_that_cannot_be_verified_gets_a_401_page(fronted: Fronted) -> None:
    old = time.time() - TOKEN_LIFETIME_S - 60
    forged = SigningKey(key_id=fronted.key.key_id, private_pem=SigningKey.generate().private_pem)
    bad = {
        "malformed": "not.a.token",
        "expired": fronted.token(issued_at=old),
        "of another audience": fronted.token(audience="https://elsewhere.example"),
        "forged": replace(fronted, key=forged).token(),
        "without its signature": stripped(fronted.token()).removeprefix("Bearer "),
    }
    replies = {what: await fronted.call("/private", {AUTHORIZATION: bearer(token)}) for what, token in bad.items()}
    assert {what: reply.status for what, reply in replies.items()} == dict.fromkeys(bad, 401)
    assert all("invalid_token" in reply.headers["WWW-Authenticate"] for reply in replies.values())
    assert fronted.handler.asked == []


async def test_a_public_services_callers_are_not_asked_and_keep_their_headers(fronted: Fronted) -> None:
    for value in ("Bearer of-firebase", bearer(fronted.token())):
        assert (await fronted.call("/public", {AUTHORIZATION: value})).status == 200
        assert fronted.seen(AUTHORIZATION) == value
    assert (await fronted.call("/public")).status == 200


async def test_a_service_answers_for_itself(fronted: Fronted) -> None:
    fronted.handler.answers = [418]
    assert (await fronted.call("/public", body={"a": 1})).status == 418
    assert fronted.handler.asked[-1].body == b'{"a": 1}'


async def test_a_call_for_which_no_instance_comes_is_answered_429(fronted: Fronted) -> None:
    reply = await fronted.call("/gone")
    assert (reply.status, reply.text) == (429, "Rate exceeded.")


async def test_a_connection_that_breaks_before_the_answer_is_answered_503_and_not_tried_again(fronted: Fronted) -> None:
    reply = await fronted.call("/broken")
    assert reply.status == 503
    assert len(fronted.broken) == 1


async def test_an_address_of_no_service_is_not_found(fronted: Fronted) -> None:
    for path in ("/", "/privateer"):
        assert (await fronted.call(path)).status == 404


async def test_routes_are_read_as_they_were_written(tmp_path: Path) -> None:
    service = Service(name="one", audiences=frozenset({"https://a", "https://b"}), invokers=frozenset({"c@d"}))
    written = [routes.Route(path="/one", instance="http://127.0.0.1:1/x", service=service)]
    routes.write(tmp_path / "routes", written)
    assert routes.read(tmp_path / "routes") == written
