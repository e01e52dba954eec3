"""How commands end when what is around them fails: one line that says what to do, and no traceback."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest

from connector.admin import accounts
from connector.admin.command_line import run
from local import ports
from tests.connector_admin.inbox import DIGITS, Inbox
from tests.connector_admin.running import CommandLine

PROJECT = "demo-admin-endings"
NO_GOOGLE = {"FIRESTORE_EMULATOR_HOST": "", "NO_GCE_CHECK": "true", "HOME": "/nowhere", "CLOUDSDK_CONFIG": "/nowhere"}


if TYPE_CHECKING:
    _Handler = grpc.GenericRpcHandler[bytes, bytes]
else:
    _Handler = grpc.GenericRpcHandler  # which takes no types but in its stub


@contextmanager
def a_firestore_that_answers(status: grpc.StatusCode) -> Iterator[str]:
    """With this status and nothing else, whatever it is asked; where it listens."""

    class Refusals(_Handler):
        def service(self, _call: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
            def refuse(_request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
                context.abort(status, f"projects/p/whatsapp_threads/shop-1_{DIGITS}01@s.whatsapp.net")
                yield b""

            return grpc.unary_stream_rpc_method_handler(refuse)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Refusals()])
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


def test_a_fault_of_its_own_is_told_in_a_line_without_the_errors_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_arguments: object) -> None:
        raise KeyError(f"+{DIGITS}01")

    monkeypatch.setattr(accounts, "show_all", fail)
    try:
        assert run(["accounts", "--project", PROJECT]) == 1
    finally:
        logging.disable(logging.NOTSET)
    said = capsys.readouterr()
    assert said.out == ""
    assert "failed unexpectedly (KeyError at test_endings.py:" in said.err
    assert DIGITS not in said.err
