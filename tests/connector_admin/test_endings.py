"""How commands end when what is around them fails: one line that says what to do, and no traceback."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from google.cloud.firestore_v1.types import Document, RunQueryResponse

from core import schema
from local import ports
from tests.connector_admin.inbox import DIGITS, Inbox
from tests.connector_admin.running import LIMIT_S, CommandLine

PROJECT = "demo-admin-endings"
NO_GOOGLE = {"FIRESTORE_EMULATOR_HOST": "", "NO_GCE_CHECK": "true", "HOME": "/nowhere", "CLOUDSDK_CONFIG": "/nowhere"}


if TYPE_CHECKING:
    _Handler = grpc.GenericRpcHandler[bytes, bytes]
else:
    _Handler = grpc.GenericRpcHandler  # which takes no types but in its stub


@contextmanager
def a_firestore_that_answers(answer: grpc.StatusCode | bytes) -> Iterator[str]:
    """With this status, or with one response of these bytes, and nothing else, whatever it is asked; where it listens."""

    class Answers(_Handler):
        def service(self, _call: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
            def answer_it(_request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
                if isinstance(answer, grpc.StatusCode):
                    context.abort(answer, f"projects/p/whatsapp_threads/shop-1_{DIGITS}01@s.whatsapp.net")
                yield answer

            return grpc.unary_stream_rpc_method_handler(answer_it)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Answers()])
    port = server.add_insecure_port(f"{ports.HOST}:0")
    server.start()
    try:
        yield f"{ports.HOST}:{port}"
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize(
    ("status", "complaint"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "they need the role Cloud Datastore User"),
        (grpc.StatusCode.UNAUTHENTICATED, "gcloud auth application-default login"),
        (grpc.StatusCode.NOT_FOUND, f"project {PROJECT} has no Firestore database"),
        (grpc.StatusCode.UNAVAILABLE, "Firestore did not answer (the emulator at 127.0.0.1:"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Firestore refused (ResourceExhausted, the emulator at 127.0.0.1:"),
    ],
    ids=lambda value: value.name if isinstance(value, grpc.StatusCode) else "",
)
def test_what_firestore_answers_is_said_without_its_words(status: grpc.StatusCode, complaint: str) -> None:
    with a_firestore_that_answers(status) as address:
        admin = CommandLine(project=PROJECT, environment={"FIRESTORE_EMULATOR_HOST": address})
        errors = admin.fails(1, "accounts")
    assert complaint in errors
    assert DIGITS not in errors
    assert len(errors.splitlines()) == 1


def test_a_firestore_that_is_not_there_is_given_up_while_a_person_waits() -> None:
    nowhere = CommandLine(project=PROJECT, environment={"FIRESTORE_EMULATOR_HOST": f"{ports.HOST}:{ports.free_port()}"})
    errors = nowhere.fails(1, "account", "shop-1")
    assert "Firestore did not answer" in errors
    assert len(errors.splitlines()) == 1


def test_without_a_google_account_it_says_how_to_get_one() -> None:
    errors = CommandLine(project=PROJECT, environment=NO_GOOGLE).fails(1, "accounts")
    assert "gcloud auth application-default login" in errors


def test_without_a_project_it_is_wrong_usage(firestore_emulator: str) -> None:
    assert "pass --project ID" in CommandLine(project="").fails(2, "accounts")


def test_the_project_may_be_named_before_or_after_the_command(inbox: Inbox) -> None:
    account = inbox.account()
    elsewhere = CommandLine(project="demo-admin-elsewhere")
    assert account in elsewhere.does("--project", inbox.admin.project, "accounts")
    assert account in elsewhere.does("accounts", "--project", inbox.admin.project)


def test_a_fault_of_its_own_is_told_in_a_line_without_the_errors_words() -> None:
    """An answer that nobody foresaw: a document that was never written, under a name with a number."""
    name = f"projects/{PROJECT}/databases/(default)/documents/{schema.ACCOUNTS}/{DIGITS}01"
    answer = RunQueryResponse(document=Document(name=name))
    with a_firestore_that_answers(RunQueryResponse.serialize(answer)) as address:
        admin = CommandLine(project=PROJECT, environment={"FIRESTORE_EMULATOR_HOST": address})
        running = admin.begin("accounts")
        out, errors = running.communicate(timeout=LIMIT_S)
    assert (running.returncode, out) == (1, "")
    assert "failed unexpectedly (AssertionError at context.py:" in errors
    assert len(errors.splitlines()) == 1
    assert DIGITS not in errors
