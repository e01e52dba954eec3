"""What the log says of an id is a hash, keyed with the deployment's secret where there is one."""

import json

import pytest

from connector import log
from core.ids import AccountId, WaMessageKey
from core.log_hash import log_hash

KEY = WaMessageKey("3EB0" + "A1" * 9)


@pytest.mark.parametrize(("secret", "key"), [(None, "demo-log"), ("", "demo-log"), ("secret", "secret")])
def test_ids_are_hashed_with_the_secret_or_else_the_project(
    secret: str | None, key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "demo-log")
    monkeypatch.delenv("THREADLINE_LOG_HASH_KEY", raising=False)
    if secret is not None:
        monkeypatch.setenv("THREADLINE_LOG_HASH_KEY", secret)
    log.send_ended(AccountId("shop"), KEY, "sent", "")
    assert json.loads(capsys.readouterr().out)["key"] == log_hash(key, KEY)
