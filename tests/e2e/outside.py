"""The suite as its users and services see it: HTTP alone, with real tokens of the Auth emulator and the identity server."""

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError

from identity.headers import token_headers
from local.identity_server import TASKS_ACCOUNT
from local.network.client import Network
from local.project import ROOT
from local.suite import Suite

EVENT_LOST_S = 150.0
"""What Firestore's events lead to stands by then. The Suite starts its Python workers on ports that it draws from a thousand: two at a time
may get the same one, and the one's event goes to the other. It is lost, then, and the row is the sweeper's: a minute old, at the next minute."""

_PASSWORD = "of-the-emulator"


@dataclass(frozen=True, kw_only=True)
class User:
    """`token` is None for somebody who has not signed in."""

    token: str | None


NOBODY = User(token=None)


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    body: dict[str, Any]
    """Empty where the answer is not a JSON object."""
    text: str

    @property
    def error(self) -> str:
        """The product's error code in an answer between the services, "" in one of Cloud Run's front end."""
        return str(self.body.get("error", {}).get("code", ""))

    @property
    def result(self) -> dict[str, Any]:
        assert "result" in self.body, self.body
        found: dict[str, Any] = self.body["result"]
        return found

    @property
    def code(self) -> str:
        """The product's error code in a callable's error."""
        return str(self.body["error"]["details"]["code"])


@dataclass(frozen=True, kw_only=True)
class Outside:
    suite: Suite
    network: Network

    def sign_up(self, email: str, role: str | None) -> User:
        """A user whose role was set as in production, by functions/set_role.py."""
        self._auth("accounts:signUp", {"email": email, "password": _PASSWORD})
        if role is not None:
            self.suite.processes.run(
                f"role-{role}",
                [ROOT / "functions/venv/bin/python", "set_role.py", email, role],
                environment={**self.suite.environment(), "PYTHONPATH": ""},
                folder=ROOT / "functions",
            )
        signed_in = self._auth(
            "accounts:signInWithPassword", {"email": email, "password": _PASSWORD, "returnSecureToken": True}
        )
        return User(token=signed_in["idToken"])

    def call(self, user: User, name: str, data: object) -> Answer:
        """A callable, in its wire protocol."""
        headers = {"Authorization": f"Bearer {user.token}"} if user.token else {}
        return post(self.suite.function_url(name), {"data": data}, headers)

    def identity_token(self, metadata_port: int, audience: str) -> str:
        """What a service gets from its metadata server."""
        path = f"/computeMetadata/v1/instance/service-accounts/default/identity?audience={audience}&format=full"
        request = urllib.request.Request(
            f"http://127.0.0.1:{metadata_port}{path}", headers={"Metadata-Flavor": "Google"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return str(answer.read().decode())

    def connectors_headers(self) -> Mapping[str, str]:
        """With which the connector calls flush."""
        flush = self.suite.function_url("threadlineFlush")
        return token_headers(self.identity_token(self.suite.ports.identity_connector, flush))

    def functions_headers(self) -> Mapping[str, str]:
        """With which the functions call the connector."""
        return token_headers(self.identity_token(self.suite.ports.identity_functions, self.suite.connector_url))

    def task_headers(self) -> dict[str, str]:
        """With which Cloud Tasks calls the send function."""
        send = self.suite.function_url("threadlineSend")
        issuer = f"http://127.0.0.1:{self.suite.ports.identity_certs}"
        account = f"{issuer}/v1/projects/-/serviceAccounts/{TASKS_ACCOUNT}:generateIdToken"
        return {"Authorization": f"Bearer {post(account, {'audience': send}, {}).body['token']}"}

    def _auth(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = post(f"http://{self.suite.auth}/identitytoolkit.googleapis.com/v1/{method}?key=demo", body, {})
        assert answer.status == 200, answer.body
        return answer.body


def post(url: str, body: object, headers: Mapping[str, str]) -> Answer:
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return _answer(answer.status, answer.read())
    except HTTPError as error:
        with error:
            return _answer(error.code, error.read())


def _answer(status: int, body: bytes) -> Answer:
    text = body.decode()
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return Answer(status=status, body=found if isinstance(found, dict) else {}, text=text)
