"""Which callers pass Cloud Run's front end, and which pass the application's own check behind it, in both directions."""

import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from google.cloud import firestore

from identity.headers import AUTHORIZATION, SERVERLESS_AUTHORIZATION, token_headers
from tests.e2e.outside import Answer, Outside, User, post
from tests.e2e.test_callables import pair, store
from tests.waiting import wait_until

__all__ = ["store"]  # the fixture

OURS, CONTACT = "+40312000018", "+40712000018"
FORBIDDEN = "<title>403 Forbidden</title>"
UNAUTHORIZED = "<title>401 Unauthorized</title>"


@dataclass(frozen=True, kw_only=True)
class Direction:
    """One service that the other one calls."""

    outside: Outside
    url: str
    audience: str
    caller: int
    """The metadata server of the service that calls; `other` is of the one that is called."""
    other: int
    accepted: int

    def post(self, headers: Mapping[str, str]) -> Answer:
        return post(self.url, {"accountId": "nobody"}, headers)

    def token(self, metadata_port: int | None = None, audience: str | None = None) -> str:
        return self.outside.identity_token(metadata_port or self.caller, audience or self.audience)


@pytest.fixture(params=["to the functions", "to the connector"])
def direction(request: pytest.FixtureRequest, outside: Outside) -> Direction:
    suite = outside.suite
    if request.param == "to the functions":
        flush = suite.function_url("threadlineFlush")
        caller, other = suite.ports.identity_connector, suite.ports.identity_functions
        return Direction(outside=outside, url=flush, audience=flush, caller=caller, other=other, accepted=200)
    poke = f"{suite.connector_url}/v1/accounts/nobody/poke"
    caller, other = suite.ports.identity_functions, suite.ports.identity_connector
    return Direction(outside=outside, url=poke, audience=suite.connector_url, caller=caller, other=other, accepted=202)


def test_a_call_with_its_token_in_both_headers_is_served(direction: Direction) -> None:
    assert direction.post(token_headers(direction.token())).status == direction.accepted


@pytest.mark.parametrize("sent", [AUTHORIZATION, SERVERLESS_AUTHORIZATION])
def test_a_call_with_one_header_passes_the_platform_and_the_application_refuses_it(
    direction: Direction, sent: str
) -> None:
    answer = direction.post({sent: f"Bearer {direction.token()}"})
    assert (answer.status, answer.error) == (401, "unauthenticated")


def test_the_platform_answers_who_may_not_call_with_a_page_of_its_own(direction: Direction) -> None:
    refused = {
        "nobody": direction.post({}),
        "no token": direction.post(token_headers("not.a.token")),
        "another audience": direction.post(token_headers(direction.token(audience="http://elsewhere"))),
        "another account": direction.post(token_headers(direction.token(direction.other))),
    }
    assert {who: (answer.status, answer.error) for who, answer in refused.items()} == {
        "nobody": (403, ""),
        "no token": (401, ""),
        "another audience": (401, ""),
        "another account": (403, ""),
    }
    assert all((FORBIDDEN if answer.status == 403 else UNAUTHORIZED) in answer.text for answer in refused.values())


def test_the_application_checks_for_itself_whom_the_platform_let_in(direction: Direction) -> None:
    invoker = {SERVERLESS_AUTHORIZATION: f"Bearer {direction.token()}"}

    def refusal(token: str) -> tuple[int, str]:
        answer = direction.post({**invoker, AUTHORIZATION: f"Bearer {token}"})
        return answer.status, answer.error

    assert refusal("not.a.token") == (401, "unauthenticated")
    assert refusal(direction.token(audience="http://elsewhere")) == (401, "unauthenticated")
    assert refusal(direction.token(direction.other)) == (403, "forbidden")


@pytest.mark.timeout(240)
def test_the_services_calls_of_each_other_are_accepted(
    outside: Outside, super_admin: User, employee: User, store: firestore.Client
) -> None:
    """The connector's flush when a session has opened, and the functions' look-up of a number."""
    before = accepted_flushes(outside)
    account = pair(outside, super_admin, store, OURS)
    wait_until(lambda: accepted_flushes(outside) > before, "a flush that the functions accept", 60)
    outside.network.add_contact(CONTACT, "Ion")
    asked = {"accountId": account, "phoneE164": CONTACT}
    assert outside.call(employee, "threadlineStartConversation", asked).result["threadId"].startswith(f"{account}_")


def accepted_flushes(outside: Outside) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{outside.suite.ports.connector}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    counts = [
        line.rpartition(" ")[2] for line in lines if line.startswith('connector_flushes_total{result="accepted"}')
    ]
    return float(counts[0]) if counts else 0.0


def test_a_send_job_needs_the_token_of_its_tasks_account(outside: Outside) -> None:
    send, job = outside.suite.function_url("threadlineSend"), {"data": {"threadId": "a/b"}}
    assert post(send, job, {}).status == 403
    assert post(send, job, outside.connectors_headers()).status == 401
    assert post(send, job, outside.task_headers()).status in (200, 204)


def test_nobody_calls_the_functions_of_documents_and_of_the_clock(outside: Outside) -> None:
    for name in ("threadlineOnOutbox", "threadlineOnIngest", "threadlineSweep"):
        answer = post(outside.suite.function_url(name), {}, outside.connectors_headers())
        assert answer.status in (401, 403)
        assert answer.text.startswith("<html>")
