"""The two headers that carry an identity token from one service to the other, and the one that a receiver verifies.

Cloud Run's IAM check reads `X-Serverless-Authorization` where it is present, else `Authorization`. It replaces the signature of the
token that it read before the container sees the request
(https://cloud.google.com/run/docs/authenticating/service-to-service). So the caller sends its token in both headers: IAM checks one, and
the application verifies the other.
"""

from collections.abc import Mapping
from typing import Protocol

AUTHORIZATION = "Authorization"
SERVERLESS_AUTHORIZATION = "X-Serverless-Authorization"
REMOVED_SIGNATURE = "SIGNATURE_REMOVED_BY_GOOGLE"
"""What Cloud Run writes in the place of a signature."""


class RequestHeaders(Protocol):
    """The headers of aiohttp and of Flask: `get` ignores the case of a name."""

    def get(self, name: str, /) -> str | None: ...


def token_headers(token: str) -> Mapping[str, str]:
    """The headers with which a caller sends its identity token."""
    bearer = f"Bearer {token}"
    return {SERVERLESS_AUTHORIZATION: bearer, AUTHORIZATION: bearer}


def presented_token(headers: RequestHeaders) -> str | None:
    """The value of the header that the receiver has to verify: `Authorization`, unless it is missing or has lost its signature.

    None where no header has a token with a signature. The value is not verified here.
    """
    for name in (AUTHORIZATION, SERVERLESS_AUTHORIZATION):
        value = headers.get(name)
        if value and not value.rstrip().endswith(REMOVED_SIGNATURE):
            return value
    return None
