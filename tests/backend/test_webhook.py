"""The webhook alone: what it posts, how it is signed, and what it does not do."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from backend.settings import SettingsError, read_settings
from backend.triggers.alerts import post
from backend.webhook import NotTaken, Webhook, configured
from core.alert import Alert, Change
from core.alert_telling import Told, told
from core.errors import ErrorCode
from core.ids import AccountId
from core.timing import Timing
from tests.backend.webhook_receiver import Receiver, receiving

SECRET = "a secret of the test's own"
AT = datetime(2026, 1, 1, tzinfo=UTC)


def an_alert() -> Told:
    alert = Alert(code=ErrorCode.BANNED, cause="shop", account_id=AccountId("shop"), message="+40712345678 wrote hello")
    return told(Change.OPENED, alert.alert_id, alert.document(AT))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def hook(receiver: Receiver) -> Iterator[Webhook]:
    with httpx.Client() as http:
        yield Webhook(url=receiver.url, secret=SECRET, http=http)


def test_what_is_posted_is_signed_with_its_time(hook: Webhook, receiver: Receiver) -> None:
    hook.post(an_alert(), "event-1")
    (posted,) = receiver.posts
    timestamp = posted.headers["Threadline-Timestamp"]
    assert abs(time.time() - int(timestamp)) < 60
    expected = hmac.new(SECRET.encode(), timestamp.encode() + b"." + posted.body, hashlib.sha256).hexdigest()
    assert posted.headers["Threadline-Signature"] == f"sha256={expected}"
    fields = posted.fields
    assert (fields["id"], fields["change"], fields["type"], fields["accountId"]) == (
        "event-1",
        "opened",
        "banned",
        "shop",
    )
    assert (fields["severity"], fields["count"], fields["at"]) == ("error", 1, AT.isoformat())
    assert fields["createdAt"] == AT.isoformat()
    assert fields["whatToDo"]
    assert b"+40712345678" not in posted.body


@pytest.mark.parametrize("status", [302, 307, 400, 500])
def test_anything_but_a_success_is_no_success_and_no_redirect_is_followed(
    hook: Webhook, receiver: Receiver, status: int
) -> None:
    receiver.statuses.append(status)
    with pytest.raises(NotTaken, match=str(status)):
        hook.post(an_alert(), "event-1")
    assert [posted.path for posted in receiver.posts] == ["/"]


def test_an_address_where_nobody_answers_is_tried_again_and_given_up_after_an_hour(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with httpx.Client() as http:
        hook = Webhook(url="http://127.0.0.1:1", secret=SECRET, http=http)
        with pytest.raises(NotTaken):
            post(hook, an_alert(), "event-1", datetime.now(UTC) - timedelta(minutes=59), Timing())
        post(hook, an_alert(), "event-1", datetime.now(UTC) - timedelta(minutes=61), Timing())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["severity"] for line in lines] == ["WARNING", "ERROR"]
    assert "given up" in lines[1]["message"]


ENVIRONMENT = {"ALERT_WEBHOOK_URL": "https://example.com/alerts", "THREADLINE_ALERT_WEBHOOK_SECRET": "x"}


def test_without_an_address_there_is_no_webhook() -> None:
    with httpx.Client() as http:
        assert configured(http, read_settings({"THREADLINE_ALERT_WEBHOOK_SECRET": "x"})) is None
        assert configured(http, read_settings(ENVIRONMENT | {"ALERT_WEBHOOK_URL": ""})) is None
        assert configured(http, read_settings(ENVIRONMENT)) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"ALERT_WEBHOOK_URL": "http://example.com/alerts"},
        {"ALERT_WEBHOOK_URL": "ftp://example.com/alerts"},
        {"ALERT_WEBHOOK_URL": "https://ana:word@example.com/alerts"},
        {"ALERT_WEBHOOK_URL": "https://"},
        {"THREADLINE_ALERT_WEBHOOK_SECRET": ""},
    ],
)
def test_an_address_that_is_not_https_or_a_secret_that_is_missing_is_refused(change: dict[str, str]) -> None:
    with httpx.Client() as http, pytest.raises(SettingsError, match="ALERT_WEBHOOK"):
        configured(http, read_settings(ENVIRONMENT | change))


def test_only_on_this_machine_an_address_may_be_plain() -> None:
    plain = ENVIRONMENT | {"ALERT_WEBHOOK_URL": "http://127.0.0.1:9/"}
    with httpx.Client() as http:
        assert configured(http, read_settings(plain)) is not None
