"""An identity token is believed only when everything about it is right."""

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from identity import tokens
from identity.headers import AUTHORIZATION, REMOVED_SIGNATURE, SERVERLESS_AUTHORIZATION, token_headers
from identity.tokens import CallerForbidden, KeysUnavailable, TokenRefused, TokenVerifier
from local.identity_server import CONNECTOR_ACCOUNT, FUNCTIONS_ACCOUNT
from local.ports import free_port
from local.processes import Child, Processes
from local.project import ROOT
from local.signing import SigningKey
from tests.local.running import running

AUDIENCE = "https://connector.example"
HOUR_S = 3600


@dataclass(frozen=True, kw_only=True)
class IdentityServer:
    functions_port: int
    connector_port: int
    child: Child


@contextmanager
def identity_server(processes: Processes, certs_port: int, key: SigningKey) -> Iterator[IdentityServer]:
    key_file = processes.folder / f"{key.key_id}.pem"
    key.save(key_file)
    functions_port, connector_port = free_port(), free_port()
    with running(
        processes,
        "local.identity_server",
        f"--functions-port={functions_port}",
        f"--connector-port={connector_port}",
        f"--certs-port={certs_port}",
        f"--key-file={key_file}",
    ) as child:
        yield IdentityServer(functions_port=functions_port, connector_port=connector_port, child=child)


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="module")
def other_key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="module")
def certs_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(processes: Processes, certs_port: int, key: SigningKey) -> Iterator[IdentityServer]:
    with identity_server(processes, certs_port, key) as server:
        yield server


def verifier_at(certs_port: int) -> TokenVerifier:
    return TokenVerifier(
        audience=AUDIENCE, service_account=FUNCTIONS_ACCOUNT, certs_url=f"http://127.0.0.1:{certs_port}/certs"
    )


@pytest.fixture
def verifier(server: IdentityServer, certs_port: int) -> TokenVerifier:
    return verifier_at(certs_port)


def check(verifier: TokenVerifier, value: str | None) -> None:
    """A call with this value in Authorization alone."""
    verifier.check({} if value is None else {AUTHORIZATION: value})


def good(key: SigningKey) -> str:
    return f"Bearer {key.token(audience=AUDIENCE, service_account=FUNCTIONS_ACCOUNT)}"


def test_a_good_token_is_believed_whatever_the_case_of_its_scheme(verifier: TokenVerifier, key: SigningKey) -> None:
    check(verifier, good(key))
    check(verifier, good(key).replace("Bearer", "bearer"))


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer a.b.c", "Bearer no-token", "Bearer ä.ö.ü"])
def test_no_token_is_refused(verifier: TokenVerifier, header: str | None) -> None:
    with pytest.raises(TokenRefused):
        check(verifier, header)


def test_another_scheme_is_refused(verifier: TokenVerifier, key: SigningKey) -> None:
    with pytest.raises(TokenRefused):
        check(verifier, good(key).replace("Bearer", "Basic"))


def without_signature(value: str) -> str:
    return f"{value.rpartition('.')[0]}.{REMOVED_SIGNATURE}"


@pytest.mark.parametrize("consumed", [SERVERLESS_AUTHORIZATION, AUTHORIZATION])
def test_whichever_header_the_platform_consumes_the_other_one_proves_the_caller(
    verifier: TokenVerifier, key: SigningKey, consumed: str
) -> None:
    sent = token_headers(key.token(audience=AUDIENCE, service_account=FUNCTIONS_ACCOUNT))
    verifier.check(sent)
    verifier.check({**sent, consumed: without_signature(sent[consumed])})


def test_a_token_in_one_header_is_enough_where_the_other_is_missing(verifier: TokenVerifier, key: SigningKey) -> None:
    for name in (SERVERLESS_AUTHORIZATION, AUTHORIZATION):
        verifier.check({name: good(key)})


def test_a_token_without_its_signature_is_refused(verifier: TokenVerifier, key: SigningKey) -> None:
    verifier.check({AUTHORIZATION: good(key)})  # the key set is there
    stripped = without_signature(good(key))
    for headers in (
        {AUTHORIZATION: stripped},
        {SERVERLESS_AUTHORIZATION: stripped},
        {AUTHORIZATION: stripped, SERVERLESS_AUTHORIZATION: stripped},
    ):
        with pytest.raises(TokenRefused, match="both headers"):
            verifier.check(headers)


def test_a_bad_token_in_authorization_is_refused_whatever_the_other_header_says(
    verifier: TokenVerifier, key: SigningKey, other_key: SigningKey
) -> None:
    with pytest.raises(TokenRefused):
        verifier.check({AUTHORIZATION: good(other_key), SERVERLESS_AUTHORIZATION: good(key)})


def test_an_expired_token_is_refused(verifier: TokenVerifier, key: SigningKey) -> None:
    issued_at = time.time() - HOUR_S - 15  # ten seconds are allowed for clocks that differ
    expired = key.token(audience=AUDIENCE, service_account=FUNCTIONS_ACCOUNT, issued_at=issued_at)
    with pytest.raises(TokenRefused):
        check(verifier, f"Bearer {expired}")


def test_a_token_of_the_future_is_refused(verifier: TokenVerifier, key: SigningKey) -> None:
    early = key.token(audience=AUDIENCE, service_account=FUNCTIONS_ACCOUNT, issued_at=time.time() + 60)
    with pytest.raises(TokenRefused):
        check(verifier, f"Bearer {early}")


def test_a_token_for_another_audience_is_refused(verifier: TokenVerifier, key: SigningKey) -> None:
    for audience in ("https://another.example", AUDIENCE + "/"):
        token = key.token(audience=audience, service_account=FUNCTIONS_ACCOUNT)
        with pytest.raises(TokenRefused):
            check(verifier, f"Bearer {token}")


def test_a_token_of_another_issuer_is_refused(verifier: TokenVerifier, key: SigningKey) -> None:
    token = key.token(audience=AUDIENCE, service_account=FUNCTIONS_ACCOUNT, issuer="https://accounts.example")
    with pytest.raises(TokenRefused, match="issuer"):
        check(verifier, f"Bearer {token}")


def test_a_good_token_of_another_account_is_forbidden(verifier: TokenVerifier, key: SigningKey) -> None:
    token = key.token(audience=AUDIENCE, service_account=CONNECTOR_ACCOUNT)
    with pytest.raises(CallerForbidden):
        check(verifier, f"Bearer {token}")


def test_an_address_that_is_not_verified_is_forbidden(verifier: TokenVerifier, key: SigningKey) -> None:
    token = key.token(audience=AUDIENCE, service_account=FUNCTIONS_ACCOUNT, email_verified=False)
    with pytest.raises(CallerForbidden):
        check(verifier, f"Bearer {token}")


def test_a_key_that_is_not_in_the_set_is_refused(verifier: TokenVerifier, other_key: SigningKey) -> None:
    with pytest.raises(TokenRefused):
        check(verifier, good(other_key))


def test_a_forged_signature_is_refused(verifier: TokenVerifier, key: SigningKey, other_key: SigningKey) -> None:
    forger = SigningKey(key_id=key.key_id, private_pem=other_key.private_pem)
    with pytest.raises(TokenRefused):
        check(verifier, good(forger))


def test_changed_claims_are_refused(verifier: TokenVerifier, key: SigningKey) -> None:
    head, _, signature = key.token(audience="https://another.example", service_account=CONNECTOR_ACCOUNT).split(".")
    claims = good(key).split(".")[1]
    with pytest.raises(TokenRefused):
        check(verifier, f"Bearer {head}.{claims}.{signature}")


@pytest.mark.parametrize(
    "head",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": ["RS256"]},
        {"alg": "RS256", "kid": ["a"]},
        {"kid": {"a": 1}},
        ["RS256"],
    ],
)
def test_a_strange_head_is_refused(verifier: TokenVerifier, key: SigningKey, head: object) -> None:
    check(verifier, good(key))  # the key set is there: what is strange meets all of the check
    _, claims, signature = good(key).removeprefix("Bearer ").split(".")
    strange = base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode()
    for end in (signature, ""):
        with pytest.raises(TokenRefused):
            check(verifier, f"Bearer {strange}.{claims}.{end}")


def test_a_refusal_quotes_nothing_of_the_token(verifier: TokenVerifier, key: SigningKey) -> None:
    token = key.token(audience="https://another.example", service_account=FUNCTIONS_ACCOUNT)
    with pytest.raises(TokenRefused) as refused:
        check(verifier, f"Bearer {token}")
    for part in ("example", FUNCTIONS_ACCOUNT, *token.split(".")):
        assert part not in str(refused.value)


def test_the_key_set_is_kept_when_its_server_is_gone(processes: Processes, key: SigningKey) -> None:
    port = free_port()
    verifier = verifier_at(port)
    with identity_server(processes, port, key):
        check(verifier, good(key))
    check(verifier, good(key))


def test_an_old_key_set_is_asked_for_again_and_holds_while_no_newer_can_be_had(
    processes: Processes, key: SigningKey, other_key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    verifier = verifier_at(port)
    with identity_server(processes, port, key):
        check(verifier, good(key))
    monkeypatch.setattr(tokens, "_CERTS_TTL_S", 0.0)
    monkeypatch.setattr(tokens, "_REFETCH_AT_LEAST_S", 0.0)
    check(verifier, good(key))
    with identity_server(processes, port, other_key), pytest.raises(TokenRefused):
        check(verifier, good(key))


def test_a_new_key_is_fetched_when_a_token_names_it_but_not_at_every_strangers_call(
    processes: Processes, key: SigningKey, other_key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    verifier = verifier_at(port)
    with identity_server(processes, port, key):
        check(verifier, good(key))
    with identity_server(processes, port, other_key):
        with pytest.raises(TokenRefused):
            check(verifier, good(other_key))  # so soon after the last fetch
        monkeypatch.setattr(tokens, "_REFETCH_AT_LEAST_S", 0.0)
        check(verifier, good(other_key))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, lambda _: []),
        (200, lambda key: {key.key_id: 1}),
        (200, lambda key: {key.key_id: "no PEM"}),
        (200, lambda _: None),
        (500, lambda key: key.public_keys()),
    ],
)
def test_a_key_set_that_cannot_be_read_lets_nobody_in(
    key: SigningKey, status: int, body: Callable[[SigningKey], object]
) -> None:
    class KeySet(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body(key)).encode())

        def log_message(self, *arguments: object) -> None:
            """Not on the tests' output."""

    with HTTPServer(("127.0.0.1", 0), KeySet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises((TokenRefused, KeysUnavailable)):
                check(verifier_at(server.server_port), good(key))
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def service_at(metadata_port: int) -> Iterator[Callable[[str], str]]:
    """IdentityTokens' Authorization header for an audience, asked of a process of its own: google-auth reads its environment once."""
    program = (
        "import sys; from identity.tokens import IdentityTokens; tokens = IdentityTokens()\n"
        "for audience in sys.stdin: print(tokens.headers(audience.strip())['Authorization'], flush=True)"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "functions")])
    environment = {**os.environ, "PYTHONPATH": path, "GCE_METADATA_HOST": f"127.0.0.1:{metadata_port}"}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdin is not None
        assert service.stdout is not None
        asked, answered = service.stdin, service.stdout

        def header(audience: str) -> str:
            asked.write(audience + "\n")
            asked.flush()
            return answered.readline().strip()

        yield header


def test_each_service_gets_tokens_of_its_own_account(verifier: TokenVerifier, server: IdentityServer) -> None:
    with service_at(server.functions_port) as functions, service_at(server.connector_port) as connector:
        check(verifier, functions(AUDIENCE))
        with pytest.raises(CallerForbidden):
            check(verifier, connector(AUDIENCE))


def test_a_token_is_kept_for_its_audience_alone(processes: Processes, key: SigningKey) -> None:
    another = "https://another.example"
    with (
        identity_server(processes, free_port(), key) as server,
        service_at(server.functions_port) as header,
    ):
        first, other = header(AUDIENCE), header(another)
        processes.stop(server.child)
        assert other != first
        assert (header(AUDIENCE), header(another)) == (first, other)
