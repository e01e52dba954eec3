import json
import traceback
from types import SimpleNamespace

import pytest
from firebase_functions.https_fn import FunctionsErrorCode, HttpsError
from flask import Flask
from google.api_core.exceptions import AlreadyExists

from backend.edge import FunctionFailed, contained
from backend.triggers import sending
from core import contract

NUMBER = "40712345678"


@contained
def quoting(_: object) -> None:
    raise AlreadyExists(f"Document already exists: whatsapp_messages/shop_{NUMBER}@s.whatsapp.net")


@contained
def refusing(_: object) -> None:
    raise HttpsError(FunctionsErrorCode.INVALID_ARGUMENT, "what was wrong")


@contained
def answering(event: str) -> str:
    return event.upper()


def test_what_a_library_says_reaches_neither_our_log_nor_the_frameworks(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FunctionFailed) as failed:
        quoting("event")
    printed = "".join(traceback.format_exception(failed.value)) + str(failed.value) + "".join(capfd.readouterr())
    assert NUMBER not in printed
    assert "quoting failed with AlreadyExists" in printed
    assert "test_edge.py" in printed, "where it failed stands in the log"


def test_a_refusal_passes_as_it_is() -> None:
    with pytest.raises(HttpsError) as refused:
        refusing("event")
    assert refused.value.message == "what was wrong"


def test_an_answer_passes_as_it_is() -> None:
    assert answering("event") == "EVENT"


def test_a_connector_of_a_version_that_is_not_served_stands_in_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    callers = SimpleNamespace(check=lambda _authorization: None)
    monkeypatch.setattr(sending, "services", lambda: SimpleNamespace(flush_callers=callers))
    headers = {contract.HEADER: str(contract.VERSION + 1)}
    with Flask("functions").test_request_context(method="POST", headers=headers) as context:
        assert sending.threadlineFlush(context.request).status_code == 400
    line = json.loads(capsys.readouterr().out)
    assert (line["version"], line["served"]) == (contract.VERSION + 1, contract.SERVED)
