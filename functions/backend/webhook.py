"""The webhook: posts what changed of an alert to an address of the operator's, signed."""

import hashlib
import hmac
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from backend.settings import SettingsError
from core.alert_telling import Told

SECRET = "ALERT_WEBHOOK_SECRET"  # noqa: S105 - the name of the secret
TIMESTAMP_HEADER = "Threadline-Timestamp"
SIGNATURE_HEADER = "Threadline-Signature"
_TIMEOUT_S = 10.0


class NotTaken(Exception):
    """The address did not answer with a 2xx; the message says what it did instead."""


@dataclass(frozen=True, kw_only=True)
class Webhook:
    url: str
    secret: str
    http: httpx.Client

    def post(self, told: Told, event_id: str) -> None:
        """`event_id` is the same in each try: by it, whoever receives it knows a repetition. Raises NotTaken."""
        body = json.dumps(
            {
                "id": event_id,
                "change": told.change,
                "alertId": told.alert_id,
                "type": told.alert_type,
                "severity": told.severity,
                "accountId": told.account_id,
                "meaning": told.meaning,
                "whatToDo": told.what_to_do,
                "count": told.count,
                "createdAt": told.created_at.isoformat() if told.created_at else None,
                "at": told.at.isoformat() if told.at else None,
            }
        ).encode()
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            TIMESTAMP_HEADER: timestamp,
            SIGNATURE_HEADER: signature(self.secret, timestamp, body),
        }
        try:
            # No redirect is followed: what was signed for this address goes to no other.
            response = self.http.post(
                self.url, content=body, headers=headers, timeout=_TIMEOUT_S, follow_redirects=False
            )
        except httpx.HTTPError as error:
            raise NotTaken(type(error).__name__) from error
        if not response.is_success:
            raise NotTaken(str(response.status_code))


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Over timestamp and body: who receives it refuses an old timestamp, so that a copy is of no use later."""
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def configured(http: httpx.Client, environment: Mapping[str, str] = os.environ) -> Webhook | None:
    """None where there is no address. The secret is in the environment of the posting function alone. Raises SettingsError."""
    url, secret = environment.get("ALERT_WEBHOOK_URL"), environment.get(SECRET)
    if not url:
        return None
    parts = urlsplit(url)
    schemes = ("https", "http") if environment.get("FIRESTORE_EMULATOR_HOST") else ("https",)
    if parts.scheme not in schemes or not parts.hostname or parts.username is not None:
        raise SettingsError("ALERT_WEBHOOK_URL must be an https address, without a user name")
    if not secret:
        raise SettingsError(f"{SECRET} is not set; see functions/.env.example")
    return Webhook(url=url, secret=secret, http=http)
