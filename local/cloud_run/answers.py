"""The answers of Cloud Run's front end itself: HTML pages or plain text, never the service's JSON.

Statuses and texts are those that callers of Cloud Run report: 403 without a token and for an account that may not invoke the service,
401 for a token that cannot be verified, 429 where no instance takes the call, 503 where the instance's connection broke
(https://cloud.google.com/run/docs/troubleshooting, https://cloud.google.com/run/docs/about-instance-autoscaling).
"""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True, kw_only=True)
class FrontAnswer:
    """An answer in the service's place: the service saw nothing of the call, unless it is `BROKEN`."""

    status: int
    body: bytes
    content_type: str = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)


def forbidden(path: str) -> FrontAnswer:
    """No token, or one of an account without roles/run.invoker on the service."""
    return _page(
        HTTPStatus.FORBIDDEN,
        f"Your client does not have permission to get URL <code>{_shown(path)}</code> from this server.",
    )


def unauthorized(path: str) -> FrontAnswer:
    """A token that is not a valid identity token of Google's for this service, or has expired."""
    challenge = 'Bearer error="invalid_token" error_description="The access token could not be verified"'
    return _page(
        HTTPStatus.UNAUTHORIZED,
        f"Your client does not have permission to the requested URL <code>{_shown(path)}</code>.",
        {"WWW-Authenticate": challenge},
    )


NOT_FOUND = FrontAnswer(status=404, body=b"<html><head><title>404 Page not found</title></head></html>")
NO_INSTANCE = FrontAnswer(status=429, body=b"Rate exceeded.", content_type="text/plain")
BROKEN = FrontAnswer(status=503, body=b"Service Unavailable", content_type="text/plain")
"""The connection to the instance broke: the call may have been carried out."""


def _page(status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> FrontAnswer:
    body = (
        '<html><head>\n<meta http-equiv="content-type" content="text/html;charset=utf-8">\n'
        f"<title>{status.value} {status.phrase}</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n"
        f"<h1>Error: {status.phrase}</h1>\n<h2>{text}</h2>\n<h2></h2>\n</body></html>\n"
    )
    return FrontAnswer(status=status.value, body=body.encode(), headers=headers or {})


def _shown(path: str) -> str:
    return html.escape(path)
