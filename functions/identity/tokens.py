"""Identity tokens (OIDC): checking one that came in, and getting one to send along."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import google.auth.exceptions
import google.auth.transport.requests
from google.auth import compute_engine, jwt

from identity.headers import RequestHeaders, presented_token, token_headers

GOOGLE_CERTS_URL = "https://www.googleapis.com/oauth2/v1/certs"
ISSUERS = ("https://accounts.google.com", "accounts.google.com")
_CERTS_TTL_S = 3600.0
_REFETCH_AT_LEAST_S = 5.0
_FETCH_TIMEOUT_S = 5.0
_CLOCK_SKEW_S = 10


class TokenRefused(Exception):
    """The caller is nobody we know: no token, or one that is malformed, forged, expired or for another audience."""


class KeysUnavailable(Exception):
    """The key set cannot be had, so nobody can be told from anybody: the caller should try again."""


class CallerForbidden(Exception):
    """The token is good, but it is another service account's."""


@dataclass(kw_only=True)
class TokenVerifier:
    """Checks signature, expiry, audience, issuer and service account of the identity token that came with a call.

    `certs_url` answers with a JSON object of key id to PEM certificate (or public key), as Google's does; it is kept for an
    hour, and asked again when a token names a key that is not among them. Safe to use from several threads; does blocking
    I/O when keys are due.
    """

    audience: str
    service_account: str
    certs_url: str = GOOGLE_CERTS_URL
    _certs: Mapping[str, str] = field(default_factory=dict, init=False)
    _fetched_at: float = field(default=float("-inf"), init=False)
    _tried_at: float = field(default=float("-inf"), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def check(self, headers: RequestHeaders) -> None:
        """Returns when the caller is the service account.

        Raises TokenRefused or CallerForbidden, with a reason that quotes nothing, and KeysUnavailable.
        """
        scheme, _, token = (presented_token(headers) or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenRefused(
                "an identity token with its signature is needed, in both headers Authorization and X-Serverless-Authorization: "
                "Bearer <token>"
            )
        try:
            key_id = jwt.decode_header(token).get("kid")
            if not isinstance(key_id, str):
                raise ValueError("the token names no key")
            certs = self._certs_with(key_id)
            claims = jwt.decode(token, certs=certs, audience=self.audience, clock_skew_in_seconds=_CLOCK_SKEW_S)
        except (ValueError, google.auth.exceptions.GoogleAuthError) as error:
            raise TokenRefused("the identity token is malformed, forged, expired or for another audience") from error
        if claims.get("iss") not in ISSUERS:
            raise TokenRefused("the identity token is of another issuer")
        if claims.get("email") != self.service_account or claims.get("email_verified") is not True:
            raise CallerForbidden("the identity token is not the expected service account's")

    def _certs_with(self, key_id: str) -> Mapping[str, str]:
        """The keys, fetched when it is time or this one is not among them. While none can be fetched the old ones hold."""
        with self._lock:
            now = time.monotonic()
            is_due = now - self._fetched_at > _CERTS_TTL_S or key_id not in self._certs
            if is_due and now - self._tried_at > _REFETCH_AT_LEAST_S:
                self._tried_at = now
                self._fetch()
            if not self._certs:
                raise KeysUnavailable("the key set cannot be had")
            return self._certs

    def _fetch(self) -> None:
        try:
            response = google.auth.transport.requests.Request()(self.certs_url, timeout=_FETCH_TIMEOUT_S)
            certs = _parse_certs(response.data) if response.status == 200 else {}
        except (ValueError, google.auth.exceptions.GoogleAuthError):
            return
        if certs:
            self._certs, self._fetched_at = certs, time.monotonic()


class IdentityTokens:
    """Identity tokens of this service's own account, from the metadata server that Cloud Run and Cloud Functions provide."""

    def __init__(self) -> None:
        self._credentials: dict[str, compute_engine.IDTokenCredentials] = {}
        self._lock = threading.Lock()

    def headers(self, audience: str) -> Mapping[str, str]:
        """The headers that identify a call to `audience`. Blocking; a token is kept until shortly before it expires."""
        request = google.auth.transport.requests.Request()
        with self._lock:
            credentials = self._credentials.get(audience)
            if credentials is None:
                credentials = compute_engine.IDTokenCredentials(
                    request, target_audience=audience, use_metadata_identity_endpoint=True
                )
                self._credentials[audience] = credentials
            if not credentials.valid:
                credentials.refresh(request)
            return token_headers(str(credentials.token))


def _parse_certs(body: bytes) -> Mapping[str, str]:
    certs = json.loads(body)
    if not isinstance(certs, dict) or not all(isinstance(pem, str) for pem in certs.values()):
        raise ValueError("the key set is not a JSON object of key id to PEM")
    return certs
