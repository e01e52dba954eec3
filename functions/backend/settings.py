"""The functions' settings, read from the environment once; a missing or malformed one fails at once and says so."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from backend.deployment import REGION
from core.timing import Timing
from identity.tokens import GOOGLE_CERTS_URL


class SettingsError(Exception):
    """A setting is missing or malformed; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    project: str
    timing: Timing
    send_url: str
    flush_url: str
    connector_endpoints: frozenset[str]
    """The only addresses that a text or a token is sent to: scheme, host and port, no path."""
    functions_service_account: str
    connector_service_account: str
    certs_url: str
    cloud_tasks_grpc: str | None
    """host:port of a local Cloud Tasks server; None for Google's."""

    @property
    def send_queue(self) -> str:
        return f"projects/{self.project}/locations/{REGION}/queues/threadlineSend"


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises SettingsError."""
    project = _required(environment, "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT")
    functions_origin = f"https://{REGION}-{project}.cloudfunctions.net"
    return Settings(
        project=project,
        timing=read_timing(environment),
        send_url=environment.get("SEND_URL") or f"{functions_origin}/threadlineSend",
        flush_url=environment.get("FLUSH_URL") or f"{functions_origin}/threadlineFlush",
        connector_endpoints=frozenset(
            _origin(part) for part in _required(environment, "CONNECTOR_ENDPOINTS").split(",")
        ),
        functions_service_account=_required(environment, "FUNCTIONS_SERVICE_ACCOUNT"),
        connector_service_account=_required(environment, "CONNECTOR_SERVICE_ACCOUNT"),
        certs_url=environment.get("IDENTITY_CERTS_URL") or GOOGLE_CERTS_URL,
        cloud_tasks_grpc=environment.get("CLOUD_TASKS_GRPC") or None,
    )


def _required(environment: Mapping[str, str], *names: str) -> str:
    for name in names:
        if value := environment.get(name):
            return value
    raise SettingsError(f"{names[0]} is not set; see functions/.env.example")


def read_timing(environment: Mapping[str, str] = os.environ) -> Timing:
    """Raises SettingsError."""
    scale = environment.get("TIME_SCALE") or "1"
    try:
        return Timing().scaled(float(scale))
    except ValueError as error:
        raise SettingsError(f"TIME_SCALE must be a number above 0: {error}") from error


def _origin(value: str) -> str:
    origin = value.strip()
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query or parts.fragment:
        raise SettingsError(
            "CONNECTOR_ENDPOINTS must be addresses such as https://connector-0-abc.a.run.app, without a path"
        )
    return origin
