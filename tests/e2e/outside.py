"""The suite as its users and services see it: HTTP alone, with real tokens of the Auth emulator and the identity server."""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError

from local.network.client import Network
from local.project import ROOT
from local.suite import Suite

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

    def _auth(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = post(f"http://{self.suite.auth}/identitytoolkit.googleapis.com/v1/{method}?key=demo", body, {})
        assert answer.status == 200, answer.body
        return answer.body


def post(url: str, body: object, headers: dict[str, str]) -> Answer:
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return Answer(status=answer.status, body=_object(answer.read()))
    except HTTPError as error:
        with error:
            return Answer(status=error.code, body=_object(error.read()))


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
