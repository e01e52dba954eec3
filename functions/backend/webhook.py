"""The webhook: posts what changed of an alert to an address of the operator's, signed."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass

import httpx

from backend.settings import Settings
from core.alert_telling import Told

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


def configured(http: httpx.Client, settings: Settings) -> Webhook | None:
    """None where there is no address. Raises SettingsError."""
    url = settings.alert_webhook_url
    return None if url is None else Webhook(url=url, secret=settings.alert_webhook_secret, http=http)
