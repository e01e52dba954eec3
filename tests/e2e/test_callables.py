"""Accounts from creation to logout, and who may do what, over the callables of the running suite."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.cloud import firestore

from core import contract, ids, schema
from core.ids import RequestId, ThreadId
from local.network.contacts import lid_of
from local.project import PROJECT_ID
from tests.e2e.outside import EVENT_LOST_S, NOBODY, Outside, User, post
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(240)

PHONE = "+40312000001"
CONTACT = "+40712000001"
NO_REQUEST = f"nobody_40712000001@s.whatsapp.net_{'0' * 64}"


@pytest.fixture(scope="module")
def store(outside: Outside) -> Iterator[firestore.Client]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FIRESTORE_EMULATOR_HOST", outside.suite.firestore)
        client = firestore.Client(project=PROJECT_ID)
        yield client
        client.close()


def account_of(store: firestore.Client, account: str) -> dict[str, Any]:
    return store.collection(schema.ACCOUNTS).document(account).get().to_dict() or {}


def wait_for_status(store: firestore.Client, account: str, status: str) -> None:
    wait_until(lambda: account_of(store, account).get("status") == status, f"the account is {status}", 60)


@pytest.fixture(scope="module")
def paired(outside: Outside, super_admin: User, store: firestore.Client) -> str:
    """An account that a super-admin has created and paired by phone code."""
    outside.network.add_contact(CONTACT, "Ion")
    return pair(outside, super_admin, store, PHONE)


def pair(outside: Outside, super_admin: User, store: firestore.Client, phone: str) -> str:
    account = str(outside.call(super_admin, "threadlineCreateAccount", {"name": "Front desk"}).result["accountId"])
    wait_until(lambda: account_of(store, account).get("assignedWorkerId"), "a connector owns the account")
    outside.call(super_admin, "threadlinePairAccount", {"accountId": account, "phoneE164": phone})
    state = (
        store.collection(schema.ACCOUNTS).document(account).collection(schema.PRIVATE).document(schema.PRIVATE_STATE)
    )
    code = wait_until(lambda: (state.get().to_dict() or {}).get("pairingCode"), "a pairing code stands", 30)
    outside.network.enter_code(phone, code)
    wait_for_status(store, account, "connected")
    return account


@pytest.mark.parametrize(
    "name",
    [
        "threadlineCreateAccount", "threadlinePairAccount", "threadlineSetDesiredState", "threadlineLogoutAccount", "threadlineStartConversation", "threadlineCancelRequest",
        "threadlineResolveRequest", "threadlineCloseGap", "threadlineSetAccountLimits", "threadlineAnswerPasskey",
    ],
)  # fmt: skip
def test_nobody_calls_without_signing_in_and_without_a_role(outside: Outside, name: str) -> None:
    assert outside.call(NOBODY, name, {}).code == "unauthenticated"
    roleless = outside.sign_up(f"{name}@example.com".lower(), None)
    answer = outside.call(roleless, name, {})
    assert (answer.status, answer.code) == (403, "forbidden")


@pytest.mark.parametrize(
    "name",
    [
        "threadlineCreateAccount",
        "threadlinePairAccount",
        "threadlineSetDesiredState",
        "threadlineLogoutAccount",
        "threadlineResolveRequest",
        "threadlineCloseGap",
        "threadlineSetAccountLimits",
        "threadlineAnswerPasskey",
    ],
)
def test_accounts_and_decisions_are_the_super_admins_alone(outside: Outside, employee: User, name: str) -> None:
    assert outside.call(employee, name, {"name": "x", "accountId": "x"}).code == "forbidden"


@pytest.mark.parametrize(
    ("name", "data", "code", "says"),
    [
        ("threadlineCreateAccount", None, "invalid_request", "object"),
        ("threadlineCreateAccount", {}, "invalid_request", "name"),
        ("threadlineCreateAccount", {"name": " "}, "invalid_request", "name"),
        ("threadlineCreateAccount", {"name": "x", "accountId": "a/b"}, "invalid_request", "accountId"),
        ("threadlineCreateAccount", {"name": "x", "requestKey": "a b"}, "invalid_request", "requestKey"),
        ("threadlineCreateAccount", {"name": "x", "requestKey": "a", "accountId": "b"}, "invalid_request", "not both"),
        ("threadlinePairAccount", {"accountId": "a_b"}, "invalid_request", "accountId"),
        ("threadlinePairAccount", {"accountId": "nobody", "phoneE164": "0712"}, "invalid_request", "phone number"),
        ("threadlinePairAccount", {"accountId": "nobody"}, "account_unknown", "no account"),
        (
            "threadlineSetDesiredState",
            {"accountId": "nobody", "desiredState": "off"},
            "invalid_request",
            "desiredState",
        ),
        (
            "threadlineSetDesiredState",
            {"accountId": "nobody", "desiredState": "paused"},
            "account_unknown",
            "no account",
        ),
        ("threadlineAnswerPasskey", {"accountId": "nobody", "answer": "{}"}, "account_unknown", "no account"),
        ("threadlineAnswerPasskey", {"accountId": "nobody", "answer": []}, "invalid_request", "answer"),
        ("threadlineAnswerPasskey", {"accountId": "nobody"}, "invalid_request", "answer"),
        ("threadlineLogoutAccount", {"accountId": "nobody"}, "account_unknown", "no account"),
        ("threadlineCloseGap", {"accountId": "nobody"}, "account_unknown", "no account"),
        ("threadlineSetAccountLimits", {"accountId": "nobody"}, "account_unknown", "no account"),
        ("threadlineSetAccountLimits", {"accountId": "nobody", "coldPerDay": 5}, "account_unknown", "no account"),
        (
            "threadlineSetAccountLimits",
            {"accountId": "nobody", "coldPerDay": -1},
            "invalid_request",
            "coldPerDay must be a whole",
        ),
        ("threadlineSetAccountLimits", {"accountId": "nobody", "coldPerHour": 1}, "invalid_request", "another name"),
        ("threadlineStartConversation", {"accountId": "nobody", "phoneE164": CONTACT}, "account_unknown", "no account"),
        ("threadlineStartConversation", {"accountId": "nobody", "phoneE164": "12"}, "invalid_request", "phone number"),
        ("threadlineCancelRequest", {}, "invalid_request", "id"),
        ("threadlineCancelRequest", {"requestId": "a/b"}, "invalid_request", "id"),
        ("threadlineCancelRequest", {"requestId": NO_REQUEST}, "not_found", "no request"),
        ("threadlineResolveRequest", {"requestId": NO_REQUEST[:-1]}, "invalid_request", "requestId"),
        ("threadlineResolveRequest", {"requestId": NO_REQUEST, "decision": "perhaps"}, "invalid_request", "decision"),
        ("threadlineResolveRequest", {"requestId": NO_REQUEST, "decision": ["resend"]}, "invalid_request", "decision"),
        ("threadlineResolveRequest", {"requestId": NO_REQUEST, "decision": "resend"}, "not_found", "no request"),
    ],
)
def test_a_bad_call_says_what_was_wrong(
    outside: Outside, super_admin: User, name: str, data: object, code: str, says: str
) -> None:
    answer = outside.call(super_admin, name, data)
    assert answer.code == code
    assert says in answer.body["error"]["message"]


def test_an_accounts_id_is_taken_once(outside: Outside, super_admin: User) -> None:
    assert outside.call(super_admin, "threadlineCreateAccount", {"name": "A", "accountId": "taken"}).result == {
        "accountId": "taken"
    }
    again = outside.call(super_admin, "threadlineCreateAccount", {"name": "A", "accountId": "taken"})
    assert again.result == {"accountId": "taken"}
    answer = outside.call(super_admin, "threadlineCreateAccount", {"name": "B", "accountId": "taken"})
    assert (answer.status, answer.code) == (409, "account_exists")


def test_a_call_that_is_repeated_with_its_key_creates_one_account(outside: Outside, super_admin: User) -> None:
    data = {"name": "Back office", "requestKey": "e2e-1"}
    first, again = (outside.call(super_admin, "threadlineCreateAccount", data).result for _ in range(2))
    assert first == again
    assert outside.call(super_admin, "threadlineCreateAccount", {"name": "Back office"}).result != first


def test_a_paired_account_knows_its_number_and_its_codes_are_erased(paired: str, store: firestore.Client) -> None:
    account = account_of(store, paired)
    assert (account["phoneE164"], account["lastError"], account["desiredState"]) == (PHONE, None, "connected")
    private = store.document(f"{schema.ACCOUNTS}/{paired}/{schema.PRIVATE}/{schema.PRIVATE_STATE}").get().to_dict()
    assert private is not None
    assert (private["pairingCode"], private["qrCodeDataUrl"]) == (None, None)


def test_a_connected_account_is_not_paired_again(outside: Outside, super_admin: User, paired: str) -> None:
    assert outside.call(super_admin, "threadlinePairAccount", {"accountId": paired}).code == "invalid_request"


def test_an_employee_starts_a_conversation_with_a_number_on_whatsapp_and_a_second_start_is_the_same(
    outside: Outside, employee: User, paired: str, store: firestore.Client
) -> None:
    data = {"accountId": paired, "phoneE164": CONTACT}
    thread = outside.call(employee, "threadlineStartConversation", data).result["threadId"]
    assert thread == f"{paired}_{lid_of(CONTACT)}"
    document = store.collection(schema.THREADS).document(thread).get().to_dict()
    assert document is not None
    assert (document["clientPhoneE164"], document["unreadCountGlobal"], document["locked"]) == (CONTACT, 0, False)

    store.collection(schema.THREADS).document(thread).update({"clientDisplayName": "Ion"})
    assert outside.call(employee, "threadlineStartConversation", data).result["threadId"] == thread
    assert store.collection(schema.THREADS).document(thread).get().get("clientDisplayName") == "Ion"


def test_a_number_that_is_not_on_whatsapp_gets_no_thread(outside: Outside, employee: User, paired: str) -> None:
    answer = outside.call(employee, "threadlineStartConversation", {"accountId": paired, "phoneE164": "+40799999999"})
    assert answer.code == "not_on_whatsapp"


def test_a_paused_account_closes_its_session_keeps_it_and_resumes_without_pairing(
    outside: Outside, super_admin: User, employee: User, paired: str, store: firestore.Client
) -> None:
    outside.call(super_admin, "threadlineSetDesiredState", {"accountId": paired, "desiredState": "paused"})
    wait_for_status(store, paired, "disconnected")
    data = {"accountId": paired, "phoneE164": CONTACT}
    assert outside.call(employee, "threadlineStartConversation", data).result["threadId"], "nothing is looked up"
    answer = outside.call(employee, "threadlineStartConversation", data | {"phoneE164": "+40712000099"})
    assert answer.code == "not_connected"
    refused = outside.call(super_admin, "threadlineLogoutAccount", {"accountId": paired})
    assert "set desiredState to connected first" in refused.body["error"]["message"]
    outside.call(super_admin, "threadlineSetDesiredState", {"accountId": paired, "desiredState": "connected"})
    wait_for_status(store, paired, "connected")


def uid_of(user: User) -> str:
    """As the user's own token says it."""
    assert user.token is not None
    claims = user.token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["user_id"])


def written(store: firestore.Client, by: User, thread: str, text: str) -> str:
    """A request of this user's."""
    chat = thread.partition("_")[2]
    request = ids.request_id(ThreadId(thread), chat, text, "e2e")
    document = {
        "threadId": thread,
        "accountId": thread.partition("_")[0],
        "chatId": chat,
        "to": chat,
        "text": text,
        "clientMessageId": "e2e",
        "createdByUid": uid_of(by),
        "createdByEmail": "ana@example.com",
        "createdAt": firestore.SERVER_TIMESTAMP,
        "status": "queued",
    }
    store.collection(schema.OUTBOX).document(request).create(document)
    return request


def accepted(store: firestore.Client, thread: str, request: str) -> firestore.DocumentReference:
    """The request's message, as soon as it stands."""
    message = store.collection(schema.MESSAGES).document(f"{thread}_{ids.outbound_key(RequestId(request))}")
    wait_until(lambda: message.get().exists, "the request is accepted", EVENT_LOST_S)
    return message


def request_of(store: firestore.Client, request: str) -> dict[str, Any]:
    return store.collection(schema.OUTBOX).document(request).get().to_dict() or {}


def test_a_creator_and_nobody_else_takes_his_queued_message_back(
    outside: Outside, super_admin: User, employee: User, paired: str, store: firestore.Client
) -> None:
    thread = outside.call(employee, "threadlineStartConversation", {"accountId": paired, "phoneE164": CONTACT}).result[
        "threadId"
    ]
    outside.call(super_admin, "threadlineSetDesiredState", {"accountId": paired, "desiredState": "paused"})
    wait_for_status(store, paired, "disconnected")
    request = written(store, employee, thread, "Never mind.")
    assert outside.call(super_admin, "threadlineCancelRequest", {"requestId": request}).code == "forbidden"
    assert request_of(store, request)["status"] == "queued"
    for _ in range(2):
        assert outside.call(employee, "threadlineCancelRequest", {"requestId": request}).result == {}
    cancelled = request_of(store, request)
    assert cancelled["status"] == "failed"
    assert cancelled["lastError"].startswith("cancelled: ")
    message = store.collection(schema.MESSAGES).document(f"{thread}_{ids.outbound_key(RequestId(request))}").get()
    assert (message.get("delivery"), message.get("error")) == ("failed", cancelled["lastError"])
    outside.call(super_admin, "threadlineSetDesiredState", {"accountId": paired, "desiredState": "connected"})
    wait_for_status(store, paired, "connected")


def test_a_super_admin_sees_what_is_known_of_an_uncertain_message_and_has_it_resent(
    outside: Outside, super_admin: User, employee: User, paired: str, store: firestore.Client
) -> None:
    thread = outside.call(employee, "threadlineStartConversation", {"accountId": paired, "phoneE164": CONTACT}).result[
        "threadId"
    ]
    outside.call(super_admin, "threadlineSetDesiredState", {"accountId": paired, "desiredState": "paused"})
    wait_for_status(store, paired, "disconnected")
    request = written(store, employee, thread, "Did this arrive?")
    accepted(store, thread, request)
    assert (
        outside.call(super_admin, "threadlineResolveRequest", {"requestId": request, "decision": "resend"}).code
        == "not_uncertain"
    )
    # As a job leaves it that dies with its frame on the wire.
    store.collection(schema.OUTBOX).document(request).update({"status": "sending", "attempts": 1})
    known = outside.call(super_admin, "threadlineResolveRequest", {"requestId": request}).result
    assert (known["status"], known["attempts"], known["decision"]) == ("sending", 1, None)
    data = {"requestId": request, "decision": "resend"}
    assert outside.call(super_admin, "threadlineResolveRequest", data).code == "not_uncertain"
    # As the job leaves it that makes the last attempt.
    error = "outcome_unknown: no answer in 8 attempts"
    store.collection(schema.OUTBOX).document(request).update({"status": "failed", "lastError": error})
    answer = outside.call(super_admin, "threadlineResolveRequest", data).result
    assert (answer["status"], answer["delivery"], answer["decision"]) == ("failed", "failed", "resend")
    assert outside.call(super_admin, "threadlineResolveRequest", data).result == answer
    assert (
        outside.call(super_admin, "threadlineResolveRequest", data | {"decision": "markSent"}).code == "not_uncertain"
    )

    outside.call(super_admin, "threadlineSetDesiredState", {"accountId": paired, "desiredState": "connected"})
    wait_for_status(store, paired, "connected")
    wait_until(lambda: request_of(store, answer["resentAs"]).get("status") == "sent", "the new request is sent", 60)
    assert request_of(store, request)["decidedByEmail"] == "root@example.com"


def test_a_super_admin_says_of_an_uncertain_message_that_it_was_sent_and_of_another_that_it_failed(
    outside: Outside, super_admin: User, employee: User, paired: str, store: firestore.Client
) -> None:
    thread = outside.call(employee, "threadlineStartConversation", {"accountId": paired, "phoneE164": CONTACT}).result[
        "threadId"
    ]
    outside.call(super_admin, "threadlineSetDesiredState", {"accountId": paired, "desiredState": "paused"})
    wait_for_status(store, paired, "disconnected")
    for decision, ended in (("markSent", "sent"), ("markFailed", "failed")):
        request = written(store, employee, thread, f"To be decided: {decision}")
        message = accepted(store, thread, request)
        # As a job leaves it that dies with its frame on the wire.
        left = {"status": "sending", "attempts": 1, "claimUntil": None}
        store.collection(schema.OUTBOX).document(request).update(left)
        answer = outside.call(
            super_admin, "threadlineResolveRequest", {"requestId": request, "decision": decision}
        ).result
        assert (answer["status"], answer["delivery"], answer["decision"]) == (ended, ended, decision)
        assert (answer["createdByUid"], answer["decidedByEmail"]) == (uid_of(employee), "root@example.com")
        document = request_of(store, request)
        assert (document["status"], document["decision"]) == (ended, decision)
        assert (document["decidedByUid"], document["decidedByEmail"]) == (uid_of(super_admin), "root@example.com")
        assert message.get().get("delivery") == ended
    outside.call(super_admin, "threadlineSetDesiredState", {"accountId": paired, "desiredState": "connected"})
    wait_for_status(store, paired, "connected")


def test_only_a_gap_that_is_open_is_closed(outside: Outside, super_admin: User, paired: str) -> None:
    answer = outside.call(super_admin, "threadlineCloseGap", {"accountId": paired})
    assert (answer.code, "no gap" in answer.body["error"]["message"]) == ("invalid_request", True)


def test_an_accounts_limits_are_set_shown_and_set_back(
    outside: Outside, super_admin: User, paired: str, store: firestore.Client
) -> None:
    changed = outside.call(
        super_admin, "threadlineSetAccountLimits", {"accountId": paired, "coldPerDay": 80, "queueLimitS": 600}
    )
    assert changed.result["limits"]["coldPerDay"] == {"value": 80, "isDefault": False}
    assert account_of(store, paired)["queueLimitS"] == 600
    assert outside.call(super_admin, "threadlineSetAccountLimits", {"accountId": paired}).result == changed.result
    back = {"accountId": paired, "coldPerDay": None, "queueLimitS": None}
    limits = outside.call(super_admin, "threadlineSetAccountLimits", back).result["limits"]
    assert limits["coldPerDay"] == {"value": 50, "isDefault": True}
    assert all(limit["isDefault"] for limit in limits.values())


def test_a_super_admin_answers_for_the_accounts_passkey(
    outside: Outside, super_admin: User, employee: User, store: firestore.Client
) -> None:
    phone = "+40312000077"
    outside.network.want_passkey(phone)
    account = str(outside.call(super_admin, "threadlineCreateAccount", {"name": "With a passkey"}).result["accountId"])
    outside.call(super_admin, "threadlinePairAccount", {"accountId": account, "phoneE164": phone})
    state = store.document(f"{schema.ACCOUNTS}/{account}/{schema.PRIVATE}/{schema.PRIVATE_STATE}")
    code = wait_until(lambda: (state.get().to_dict() or {}).get("pairingCode"), "a pairing code", 60)
    with ThreadPoolExecutor(1) as threads:
        linking = threads.submit(outside.network.enter_code, phone, code)
        passkey = wait_until(lambda: (state.get().to_dict() or {}).get("passkey"), "a passkey's request", 30)
        answer = {"accountId": account, "answer": outside.network.sign(phone, passkey["request"])}
        assert outside.call(employee, "threadlineAnswerPasskey", answer).code == "forbidden"
        malformed = outside.call(super_admin, "threadlineAnswerPasskey", answer | {"answer": "what is no answer"})
        assert (malformed.code, "script" in malformed.body["error"]["message"]) == ("invalid_request", True)
        assert outside.call(super_admin, "threadlineAnswerPasskey", answer).result == {}
        linking.result(30)
    wait_for_status(store, account, "connected")
    assert (state.get().to_dict() or {})["passkey"] is None
    again = outside.call(super_admin, "threadlineAnswerPasskey", answer)
    assert (again.status, again.code) == (400, "passkey_not_wanted")


def test_logging_out_unlinks_the_device_and_keeps_the_account(
    outside: Outside, super_admin: User, paired: str, store: firestore.Client
) -> None:
    outside.call(super_admin, "threadlineLogoutAccount", {"accountId": paired})
    wait_for_status(store, paired, "needs_qr")
    account = account_of(store, paired)
    assert account["lastError"].startswith("logged_out: ")
    assert account["phoneE164"] == PHONE


def test_flush_serves_a_connector_of_the_version_before_and_tells_one_that_is_too_new(outside: Outside) -> None:
    flush = outside.suite.function_url("threadlineFlush")

    def status(headers: dict[str, str]) -> tuple[int, str]:
        answer = post(flush, {"accountId": "nobody"}, {**outside.connectors_headers(), **headers})
        return answer.status, answer.error

    assert status({}) == (200, "")
    assert status({contract.HEADER: str(contract.VERSION)}) == (200, "")
    assert status({contract.HEADER: str(contract.VERSION + 1)}) == (400, "contract_unsupported")


@pytest.mark.parametrize("body", [None, [], {}, {"accountId": "a/b"}, {"accountId": 7}])
def test_flush_called_with_garbage_says_what_is_wrong(outside: Outside, body: object) -> None:
    flush = outside.suite.function_url("threadlineFlush")
    answer = post(flush, body, outside.connectors_headers())
    assert (answer.status, answer.body["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "data", [None, [], {}, {"threadId": 7}, {"threadId": "t", "key": 1}, {"threadId": "t", "hop": "x"}]
)
def test_the_send_endpoint_called_with_garbage_says_what_is_wrong(outside: Outside, data: object) -> None:
    answer = post(outside.suite.function_url("threadlineSend"), {"data": data}, outside.task_headers())
    assert answer.status == 400
    assert "send job" in answer.body["error"]["message"] or data is None


def test_a_send_job_for_a_thread_that_is_none_ends_without_a_retry(outside: Outside) -> None:
    answer = post(outside.suite.function_url("threadlineSend"), {"data": {"threadId": "a/b"}}, outside.task_headers())
    assert answer.status in (200, 204)
