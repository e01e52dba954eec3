"""The connector's address: only the functions get in, bad input is told what is wrong, and nothing secret gets out."""

import base64
import json
import time
from dataclasses import dataclass

import httpx
import pytest

from core import contract
from core.account import CommandKind
from local.identity_server import CONNECTOR_ACCOUNT, FUNCTIONS_ACCOUNT
from local.signing import TOKEN_LIFETIME_S, SigningKey
from tests.connector.stage import NUMBERS, Connector, Stage, new_phone, send_body
from tests.connector.test_engine_process import logged
from tests.waiting import wait_until

CHAT = "40712345678@s.whatsapp.net"
KEY = "3EB0" + "A1" * 9
ENDPOINTS = [
    ("/v1/send", send_body("shop", CHAT, KEY, "hello")),
    ("/v1/accounts/shop/poke", {}),
    ("/v1/accounts/shop/is-on-whatsapp", {"phoneE164": "+40712345678"}),
    ("/v1/accounts/shop/answer-passkey", {"answer": "{}"}),
    ("/v1/no-such-address", {}),
]


@dataclass(frozen=True, kw_only=True)
class Forger:
    key: SigningKey
    audience: str

    def token(self, **claims: object) -> str:
        given = {"audience": self.audience, "service_account": FUNCTIONS_ACCOUNT} | claims
        return self.key.token(**given)  # type: ignore[arg-type] # a test's claims

    def bad(self, kind: str) -> str | None:
        """An Authorization header that must be refused."""
        good = self.token()
        head, claims, signature = good.split(".")
        match kind:
            case "none":
                return None
            case "another scheme":
                return f"Basic {good}"
            case "no token":
                return "Bearer"
            case "not a token":
                return "Bearer x.y.z"
            case "expired":
                return "Bearer " + self.token(issued_at=time.time() - TOKEN_LIFETIME_S - 600)
            case "not yet good":
                return "Bearer " + self.token(issued_at=time.time() + 3600)
            case "another audience":
                return "Bearer " + self.token(audience="https://elsewhere.example.com")
            case "another issuer":
                return "Bearer " + self.token(issuer="https://accounts.example.com")
            case "a key of its own":
                own = SigningKey(key_id=self.key.key_id, private_pem=SigningKey.generate().private_pem)
                return "Bearer " + Forger(key=own, audience=self.audience).token()
            case "an unknown key":
                return "Bearer " + Forger(key=SigningKey.generate(), audience=self.audience).token()
            case "no signature":
                return f"Bearer {head}.{claims}."
            case "alg none":
                return f"Bearer {encoded({'alg': 'none', 'typ': 'JWT', 'kid': self.key.key_id})}.{claims}."
            case "a list as key id":
                return f"Bearer {encoded({'alg': 'RS256', 'typ': 'JWT', 'kid': []})}.{claims}.{signature}"
            case "changed claims":
                changed = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"sub": "another"}
                return f"Bearer {head}.{encoded(changed)}.{signature}"
        raise AssertionError(kind)


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def connector(module_stage: Stage) -> Connector:
    return module_stage.start_connector()


@pytest.mark.parametrize("path_and_body", ENDPOINTS, ids=[path for path, _ in ENDPOINTS])
@pytest.mark.parametrize(
    "kind",
    [
        "none",
        "another scheme",
        "no token",
        "not a token",
        "expired",
        "not yet good",
        "another audience",
        "another issuer",
        "a key of its own",
        "an unknown key",
        "no signature",
        "alg none",
        "a list as key id",
        "changed claims",
    ],
)
def test_a_caller_without_a_good_token_is_refused(
    connector: Connector, kind: str, path_and_body: tuple[str, object]
) -> None:
    header = Forger(key=connector.key, audience=connector.url).bad(kind)
    path, body = path_and_body
    response = connector.post(path, body, headers={} if header is None else {"Authorization": header})
    assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthenticated")


def test_a_connector_without_a_key_set_says_that_it_cannot_tell_and_not_that_the_token_is_bad(
    module_stage: Stage,
) -> None:
    connector = module_stage.start_connector(IDENTITY_CERTS_URL="http://127.0.0.1:9/certs")
    good = Forger(key=connector.key, audience=connector.url).token()
    response = connector.post("/v1/accounts/shop/poke", {}, headers={"Authorization": f"Bearer {good}"})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "unauthenticated")
    module_stage.stop(connector)


@pytest.mark.parametrize("path_and_body", ENDPOINTS, ids=[path for path, _ in ENDPOINTS])
def test_another_service_account_is_forbidden(connector: Connector, path_and_body: tuple[str, object]) -> None:
    forger = Forger(key=connector.key, audience=connector.url)
    path, body = path_and_body
    for token in (forger.token(service_account=CONNECTOR_ACCOUNT), forger.token(email_verified=False)):
        response = connector.post(path, body, headers={"Authorization": f"Bearer {token}"})
        assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize("path_and_body", ENDPOINTS[:3], ids=[path for path, _ in ENDPOINTS[:3]])
def test_functions_of_the_version_before_are_served_and_those_of_a_version_that_is_not_known_yet_are_told(
    connector: Connector, path_and_body: tuple[str, object]
) -> None:
    path, body = path_and_body
    authorization = {"Authorization": f"Bearer {connector.token()}"}
    answers = {
        named: connector.post(path, body, headers=authorization | ({} if named is None else {contract.HEADER: named}))
        for named in (None, str(contract.VERSION), str(contract.VERSION + 1))
    }
    served = answers[str(contract.VERSION)]
    assert served.status_code in (200, 202, 409)
    assert (answers[None].status_code, answers[None].json()) == (served.status_code, served.json())
    refused = answers[str(contract.VERSION + 1)]
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "contract_unsupported")
    assert "docs/rollout.md" in refused.json()["error"]["message"]


def test_a_refused_version_stands_in_the_log_beside_those_that_are_served(connector: Connector) -> None:
    authorization = {"Authorization": f"Bearer {connector.token()}"}
    before = len(logged(connector, "contract_refused"))
    for named in (str(contract.VERSION + 1), "two"):
        connector.post("/v1/send", GOOD, headers=authorization | {contract.HEADER: named})
    lines = logged(connector, "contract_refused")[before:]
    assert [(line["version"], line["served"]) for line in lines] == [
        (contract.VERSION + 1, contract.SERVED),
        (None, contract.SERVED),
    ]


def test_a_message_of_functions_of_the_version_before_is_sent(module_stage: Stage, connector: Connector) -> None:
    """Their call names no version and does not say whether it is a reply."""
    account = module_stage.paired_account(connector, new_phone())
    chat = module_stage.network.add_contact(new_phone(), "Ana").lid
    body = send_body(account, chat, KEY, "hello")
    assert "isReply" not in body
    answer = connector.post("/v1/send", body, headers={"Authorization": f"Bearer {connector.token()}"})
    assert (answer.status_code, answer.json()) == (200, {"outcome": "sent"})
    assert [frame.contact for frame in module_stage.network.frames(whatsapp_id=KEY)] != []


def test_who_has_no_token_is_not_told_which_versions_are_served(connector: Connector) -> None:
    response = connector.post("/v1/send", {}, headers={contract.HEADER: str(contract.VERSION + 1)})
    assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthenticated")


GOOD = send_body("shop", CHAT, KEY, "hello", within_s=3600)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 50_000, "JSON"),
        (b"[1]", "JSON object"),
        (b"null", "JSON object"),
        (json.dumps(GOOD | {"text": "x" * 70_000}).encode(), "bytes"),
        (GOOD | {"accountId": None}, "accountId"),
        (GOOD | {"accountId": "a_b"}, "accountId"),
        (GOOD | {"chatId": "../x"}, "chatId"),
        (GOOD | {"chatId": 7}, "chatId"),
        (GOOD | {"waMessageKey": "3EB0"}, "waMessageKey"),
        (GOOD | {"waMessageKey": KEY.lower()}, "waMessageKey"),
        (GOOD | {"waMessageKey": [KEY]}, "waMessageKey"),
        (GOOD | {"text": ""}, "text"),
        (GOOD | {"text": None}, "text"),
        (GOOD | {"text": "x" * 4097}, "text"),
        (GOOD | {"text": "😀" * 2049}, "text"),
        (GOOD | {"text": "half \ud83d"}, "text"),
        (GOOD | {"notAfter": None}, "notAfter"),
        (GOOD | {"notAfter": "soon"}, "notAfter"),
        (GOOD | {"notAfter": "2026-05-01T12:00:00"}, "notAfter"),
        (GOOD | {"notAfter": 1772366400}, "notAfter"),
        (GOOD | {"notAfter": "0001-01-01T00:00:00+23:59"}, "notAfter"),
    ],
)
def test_a_body_that_is_wrong_is_told_where(connector: Connector, body: object, complaint: str) -> None:
    response = connector.post("/v1/send", body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == "invalid_request"
    assert complaint in error["message"]


def test_a_body_that_is_not_as_its_encoding_says_is_the_callers_fault(connector: Connector) -> None:
    headers = {"Authorization": f"Bearer {connector.token()}", "Content-Encoding": "gzip"}
    response = connector.post("/v1/send", b"not gzip", headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_request")
    broken = httpx.post(f"{connector.url}/healthz", headers={"Transfer-Encoding": "chunked"}, content=b"no chunk")
    assert broken.status_code == 400
    wait_until(lambda: '"malformed_http"' in connector.child.log_text(), "it is logged as such")
    assert '"ERROR"' not in connector.child.log_text()


def test_the_longest_text_and_unknown_fields_are_taken(connector: Connector) -> None:
    response = connector.post("/v1/send", GOOD | {"text": "😀" * 2048, "later": {"field": 1}})
    assert (response.status_code, response.json()) == (200, {"outcome": "not_owner"})


def test_a_group_is_refused_as_such(connector: Connector) -> None:
    response = connector.post("/v1/send", GOOD | {"chatId": "123456789-123@g.us"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "chat_not_supported")


@pytest.mark.parametrize("number", [None, "", "40712345678", "+0712345678", "+40 712 345 678", 40712345678])
def test_a_number_that_is_none_is_refused(connector: Connector, number: object) -> None:
    response = connector.post("/v1/accounts/shop/is-on-whatsapp", {"phoneE164": number})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("account", ["a_b", "a%2Fb", "x" * 65, "%F0%9F%98%80"])
def test_an_account_id_that_is_none_is_refused(connector: Connector, account: str) -> None:
    response = connector.post(f"/v1/accounts/{account}/poke")
    assert response.status_code in (400, 404)
    assert response.json()["error"]["code"] in ("invalid_request", "not_found")


def test_addresses_and_methods_that_do_not_exist_are_told_as_such(connector: Connector) -> None:
    unknown = connector.post("/v1/sent")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")
    wrong_method = connector.get("/v1/send")
    assert wrong_method.status_code == 401
    assert connector.post("/healthz").status_code == 405
    assert connector.get("/").status_code == 404


def test_a_poke_about_an_unknown_account_is_harmless(connector: Connector) -> None:
    connector.poke("no-such-account")
    assert connector.get("/healthz").json() == {"alive": True}


def test_a_connector_that_reaches_firestore_and_engine_is_ready(connector: Connector) -> None:
    ready = connector.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"firestore": True, "engine": True, "takesWork": True})


def test_metrics_and_logs_hold_no_number_text_or_code(stage: Stage) -> None:
    connector, ours, theirs = stage.start_connector(), new_phone(), new_phone()
    account = stage.create_account()
    qr = stage.shown_qr(connector, account)
    stage.command(connector, account, CommandKind.PAIR_CODE, ours)
    code = wait_until(lambda: stage.private_state(account)["pairingCode"], "a phone code")
    stage.network.enter_code(ours, code)
    stage.await_status(account, "connected")
    contact = stage.network.add_contact(theirs, "Secretive Ana")
    whatsapp_id = stage.network.write(theirs, ours, "my secret")
    stage.await_row(account, f"{whatsapp_id}-in")
    connector.send(account, contact.lid, KEY, "our secret")
    connector.post("/v1/send", GOOD | {"chatId": "40700000999", "text": "our secret"})
    connector.post(f"/v1/accounts/{account}/is-on-whatsapp", {"phoneE164": theirs})
    metrics = connector.get("/metrics").text
    assert 'connector_sends_total{outcome="sent"} 1.0' in metrics
    stage.stop(connector)

    for written in (metrics, connector.child.log_text()):
        assert not NUMBERS.search(written)
        for secret in ("secret", "Secretive", qr, qr.split(",")[0], code, KEY, whatsapp_id):
            assert secret not in written


def test_settings_that_are_missing_end_the_start_with_a_clear_message(stage: Stage) -> None:
    connector = stage.start_connector(wait=False, PUBLIC_ENDPOINT="", PORT="x")
    assert connector.child.process.wait(30) == 2
    (line,) = connector.child.log_text().splitlines()
    assert "PUBLIC_ENDPOINT is not set" in json.loads(line)["message"]
    assert "PORT must be a port number" in json.loads(line)["message"]
