"""What a super-admin is told of an answer for a passkey, whatever the connector says."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from backend.passkeys import MAX_ANSWER_CHARACTERS
from backend.refusal import Refused
from core import schema
from core.errors import ErrorCode
from core.ids import AccountId
from tests.backend.scripted_connector import Answer
from tests.backend.world import World

SIGNED = '{"id": "of-the-passkey"}'


def refused(world: World, answer: object = SIGNED) -> Refused:
    with pytest.raises(Refused) as failure:
        world.services.passkeys.answer(world.account, answer)
    return failure.value


@pytest.fixture(autouse=True)
def _nothing_was_signed(world: World) -> None:
    world.connector.signed.clear()
    world.connector.passkeys.clear()


def test_the_answer_goes_to_the_accounts_connector_and_nowhere_else(world: World) -> None:
    world.services.passkeys.answer(world.account, SIGNED)
    world.services.passkeys.answer(world.account, json.loads(SIGNED))
    assert world.connector.signed == [(world.account, SIGNED)] * 2
    for collection in (schema.ACCOUNTS, schema.LEASES):
        document = world.db.collection(collection).document(world.account).get().to_dict()
        assert "of-the-passkey" not in str(document)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "invalid_request"), (409, "passkey_not_wanted"), (409, "passkey_refused")],
)
def test_what_the_connector_says_of_the_answer_reaches_the_person(world: World, status: int, code: str) -> None:
    words = json.dumps({"error": {"code": code, "message": "what to do now"}})
    world.connector.passkeys.append(Answer(status=status, body=words))
    failure = refused(world)
    assert (failure.code, failure.detail) == (ErrorCode(code), "what to do now")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(status=409, body='{"error": {"code": "not_connected", "message": ""}}'), ErrorCode.NOT_CONNECTED),
        (Answer(status=403, body="{}"), ErrorCode.CONNECTOR_REFUSED),
        (Answer(status=404, body="{}"), ErrorCode.CONNECTOR_REFUSED),
        (Answer(status=502, body="{}"), ErrorCode.CONNECTOR_UNREACHABLE),
        (Answer(status=503, body="a proxy's page"), ErrorCode.CONNECTOR_UNREACHABLE),
        (Answer(breaks=True), ErrorCode.CONNECTOR_UNREACHABLE),
    ],
)
def test_a_connector_that_did_not_do_it_is_told_as_such(world: World, answer: Answer, code: ErrorCode) -> None:
    world.connector.passkeys.append(answer)
    assert refused(world).code is code


def test_without_an_owner_nothing_is_called(world: World) -> None:
    ended = {"leaseUntil": datetime.now(UTC) - timedelta(seconds=1)}
    world.db.collection(schema.LEASES).document(world.account).update(ended)
    failure = refused(world)
    assert failure.code is ErrorCode.NOT_CONNECTED
    assert "begin the pairing again" in failure.detail
    assert world.connector.signed == []


def test_an_answer_goes_to_no_address_that_is_not_allowed(world: World) -> None:
    world.connect(endpoint="https://elsewhere.example.com")
    assert refused(world).code is ErrorCode.ENDPOINT_NOT_ALLOWED
    assert world.connector.signed == []


@pytest.mark.parametrize("answer", [None, "", 1, ["a"], "x" * (MAX_ANSWER_CHARACTERS + 1)])
def test_what_is_no_answer_is_refused_here(world: World, answer: object) -> None:
    assert refused(world, answer).code is ErrorCode.INVALID_REQUEST
    assert world.connector.signed == []


def test_of_an_account_that_is_not_there_it_is_said(world: World) -> None:
    with pytest.raises(Refused) as failure:
        world.services.passkeys.answer(AccountId("nobody"), SIGNED)
    assert failure.value.code is ErrorCode.ACCOUNT_UNKNOWN
