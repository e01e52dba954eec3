"""The script that a super-admin pastes into the console of web.whatsapp.com, run as a browser runs it."""

import json
from typing import Any

import pytest

from connector.passkey import script
from local.network.passkey import Passkey, request_options
from tests.connector.test_passkey import in_browser

CHALLENGE = bytes(range(220, 252))
"""Its base64url holds both characters that base64 has not."""


def signed(options: str, user_handle: str | None = None) -> Any:
    answer = json.loads(Passkey().sign(options))
    answer["response"]["userHandle"] = user_handle
    return answer


@pytest.mark.parametrize("user_handle", [None, "dXNlcg"])
def test_the_page_asks_for_what_whatsapp_asks_and_shows_the_answer_as_json(user_handle: str | None) -> None:
    options = json.loads(request_options(CHALLENGE))
    known = [{"id": "-_8", "type": "public-key", "transports": ["internal"]}]
    options["allowCredentials"] = known
    credential = signed(json.dumps(options), user_handle)
    page = in_browser(script(json.dumps(options)), credential)
    assert page["asked"] == [
        {**options, "challenge": CHALLENGE.hex(), "allowCredentials": [{**known[0], "id": "fbff"}]}
    ]
    assert json.loads(page["shown"]) == credential


def test_a_browser_that_does_not_sign_says_why() -> None:
    page = in_browser(script(request_options(CHALLENGE)), None)
    assert "The operation was not allowed." in page["shown"]


def test_on_another_page_nothing_is_asked_for() -> None:
    options = request_options(CHALLENGE)
    page = in_browser(script(options), signed(options), origin="https://example.com")
    assert page["asked"] == []
    assert "https://web.whatsapp.com" in page["shown"]


def test_nothing_in_the_request_can_become_code() -> None:
    options = json.loads(request_options(CHALLENGE)) | {
        "extensions": {'"}); fail("</script>\u2028': "\u2029`${fail()}`"}
    }
    page = in_browser(script(json.dumps(options)), signed(json.dumps(options)))
    assert page["asked"][0]["extensions"] == options["extensions"]
