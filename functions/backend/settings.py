"""The functions' settings, read from the environment. Each is read when it is used, so that a function needs only its own settings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from backend import params
from core.log_hash import log_hash_key
from core.timing import Timing
from identity.tokens import GOOGLE_CERTS_URL

SEND_FUNCTION = "threadlineSend"
"""Also the name of its queue."""
FLUSH_FUNCTION = "threadlineFlush"


class SettingsError(Exception):
    """A setting is missing or malformed; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every property raises SettingsError if its setting is missing or malformed. Parameters are declared in params.py."""

    environment: Mapping[str, str] = field(repr=False)
    timing: Timing

    @property
    def project(self) -> str:
        """Google sets GCLOUD_PROJECT, the local tools set GOOGLE_CLOUD_PROJECT."""
        return self._required("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT")

    @property
    def database(self) -> str:
        """The id of the Firestore database."""
        return self._param(params.FIRESTORE_DATABASE)

    @property
    def connector_endpoints(self) -> frozenset[str]:
        """The only addresses that a text or a token is sent to: scheme, host and port, no path."""
        return frozenset(self._param(params.CONNECTOR_ENDPOINTS).split(","))

    @property
    def functions_service_account(self) -> str:
        """The account that the functions run as."""
        return self._param(params.FUNCTIONS_SERVICE_ACCOUNT)

    @property
    def connector_service_account(self) -> str:
        return self._param(params.CONNECTOR_SERVICE_ACCOUNT)

    @property
    def tasks_service_account(self) -> str:
        """The account whose token a send task carries."""
        return self._param(params.TASKS_SERVICE_ACCOUNT)

    @property
    def send_queue(self) -> str:
        """As Cloud Tasks names it."""
        return f"projects/{self.project}/locations/{self._region}/queues/{SEND_FUNCTION}"

    @property
    def send_url(self) -> str:
        return self.environment.get("SEND_URL") or self._function_url(SEND_FUNCTION)

    @property
    def flush_url(self) -> str:
        return self.environment.get("FLUSH_URL") or self._function_url(FLUSH_FUNCTION)

    @property
    def certs_url(self) -> str:
        return self.environment.get("IDENTITY_CERTS_URL") or GOOGLE_CERTS_URL

    @property
    def cloud_tasks_grpc(self) -> str | None:
        """host:port of a local Cloud Tasks server; None for Google's."""
        return self.environment.get("CLOUD_TASKS_GRPC") or None

    @property
    def alert_webhook_url(self) -> str | None:
        return self._param(params.ALERT_WEBHOOK_URL) or None

    @property
    def alert_webhook_secret(self) -> str:
        """Only the function that posts alerts has it in its environment."""
        return self._required(params.ALERT_WEBHOOK_SECRET.name)

    @property
    def log_hash_key(self) -> str:
        """Raises NoLogHashKey."""
        return log_hash_key(self.environment)

    @property
    def _region(self) -> str:
        return self._param(params.FUNCTIONS_REGION)

    def _function_url(self, name: str) -> str:
        return f"https://{self._region}-{self.project}.cloudfunctions.net/{name}"

    def _param(self, parameter: params.Parameter) -> str:
        try:
            return parameter.value(self.environment)
        except params.InvalidParameter as invalid:
            raise SettingsError(str(invalid)) from invalid

    def _required(self, *names: str) -> str:
        for name in names:
            if value := self.environment.get(name):
                return value
        raise SettingsError(f"{names[0]} is not set; docs/architecture.md says what it means")


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises SettingsError."""
    return Settings(environment=environment, timing=_timing(environment))


def _timing(environment: Mapping[str, str]) -> Timing:
    scale = environment.get("TIME_SCALE") or "1"
    try:
        return Timing().scaled(float(scale))
    except ValueError as error:
        raise SettingsError(f"TIME_SCALE must be a number above 0: {error}") from error
