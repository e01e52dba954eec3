"""`make-super-admin`: the role claim of a user, through the Identity Toolkit's REST API; the image has no Firebase Admin SDK.

For the first one: who is a super-admin can give roles to nobody, so it takes the project's own permissions.
"""

import json
import os
from argparse import Namespace
from dataclasses import dataclass
from typing import Any

import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials as PersonsCredentials

from connector.admin.context import Context
from connector.admin.endings import Failed, NotFound
from core.access import Role, role_of

_PRODUCTION = "https://identitytoolkit.googleapis.com/v1"
_CALL_S = 15.0
_EMULATORS_OWNER = {"Authorization": "Bearer owner"}


def make_super_admin(context: Context, arguments: Namespace) -> None:
    users = _users(context)
    user = users.find(arguments.user)
    if user is None:
        raise NotFound(
            f"there is no user {arguments.user} in project {context.project}; the person must have signed in once, "
            "or be added in the Firebase console under Authentication"
        )
    claims = _claims(user)
    if role_of(claims) is not Role.SUPER_ADMIN:
        users.set_claims(str(user["localId"]), {**claims, "role": str(Role.SUPER_ADMIN)})
    if context.screen.as_json:
        context.screen.data({"uid": user["localId"], "email": user.get("email"), "role": str(Role.SUPER_ADMIN)})
    else:
        context.screen.say_folded(
            f"{user.get('email') or user['localId']} is a super-admin of project {context.project}. The next ID token says so: "
            "after signing in again, or within an hour."
        )


@dataclass(frozen=True, kw_only=True)
class _Users:
    http: requests.Session
    url: str

    def find(self, name: str) -> dict[str, Any] | None:
        answer = self._post("lookup", {"email": [name]} if "@" in name else {"localId": [name]})
        found = answer.get("users")
        return found[0] if isinstance(found, list) and found else None

    def set_claims(self, uid: str, claims: dict[str, Any]) -> None:
        self._post("update", {"localId": uid, "customAttributes": json.dumps(claims)})

    def _post(self, method: str, body: object) -> dict[str, Any]:
        """Raises Failed."""
        try:
            response = self.http.post(f"{self.url}/accounts:{method}", json=body, timeout=_CALL_S)
            answer = response.json()
        except (requests.RequestException, GoogleAuthError) as error:
            raise Failed(f"the user directory did not answer ({type(error).__name__}); try again") from error
        if response.status_code == requests.codes.ok and isinstance(answer, dict):
            return answer
        raise Failed(_refusal(response.status_code))


def _refusal(status: int) -> str:
    if status in (requests.codes.unauthorized, requests.codes.forbidden):
        return (
            "these credentials may not change users of the project: they need the role Firebase Authentication Admin "
            "(roles/firebaseauth.admin), and the Identity Toolkit API must be enabled"
        )
    return f"the user directory refused (status {status}); look whether Authentication is set up in the project"


def _users(context: Context) -> _Users:
    emulator = os.environ.get("FIREBASE_AUTH_EMULATOR_HOST")
    if emulator:
        session = requests.Session()
        session.headers.update(_EMULATORS_OWNER)
        url = f"http://{emulator}/identitytoolkit.googleapis.com/v1"
    else:
        credentials = context.credentials[0]
        session = AuthorizedSession(credentials)
        if isinstance(credentials, PersonsCredentials):  # Google asks whose quota such a call counts for
            session.headers.update({"X-Goog-User-Project": context.project})
        url = _PRODUCTION
    return _Users(http=session, url=f"{url}/projects/{context.project}")


def _claims(user: dict[str, Any]) -> dict[str, Any]:
    try:
        claims = json.loads(user.get("customAttributes") or "{}")
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
