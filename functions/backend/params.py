"""The parameters of a deployment, each declared once. Their values are in `functions/.env` (defaults) and `.env.<project id>`.

`firebase deploy` puts them into region, accounts, invokers and triggers, and gives them to every function as environment variables.
The Firebase CLI checks a value against its pattern only when it asks for the value; it does not check values from those files
(firebase-tools 15, lib/deploy/functions/params.js). deploy_check.py checks these.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from firebase_functions.params import SecretParam, StringParam, TextInput

_ORIGIN = r"(https://[a-z0-9.-]+(:[0-9]+)?|http://(127\.0\.0\.1|localhost):[0-9]+)"
_SERVICE_ACCOUNT = r"[a-z0-9.-]+@[a-z0-9.-]+\.gserviceaccount\.com"
_NO_SERVICE_ACCOUNT = "must be the e-mail address of a service account"


class InvalidParameter(ValueError):
    """A parameter is missing or malformed; the message has its name, what is wrong, and an example."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """`rule` says in words what the whole value must match (`pattern`, in the syntax that Python and JavaScript share).

    `default` is in `functions/.env`, too: without a terminal the Firebase CLI uses no default of a parameter.
    """

    name: str
    label: str
    description: str
    example: str
    pattern: str
    rule: str
    default: str | None = None

    def __post_init__(self) -> None:
        StringParam(
            self.name,
            default=self.default,
            label=self.label,
            description=self.description,
            input=TextInput(
                example=self.example, validation_regex=f"^({self.pattern})$", validation_error_message=self.rule
            ),
        )

    @property
    def expression(self) -> str:
        """The expression for a function's options that the Firebase CLI replaces with the value."""
        return f"{{{{ params.{self.name} }}}}"

    def value(self, environment: Mapping[str, str]) -> str:
        """Raises InvalidParameter."""
        value = environment.get(self.name, self.default)
        example = f"Example: {self.name}={self.example}"
        if value is None:
            raise InvalidParameter(f"{self.name} is not set. {self.description} {example}")
        if not re.fullmatch(self.pattern, value):
            raise InvalidParameter(f"{self.name} {self.rule}. {example}")
        return value


CONNECTOR_ENDPOINTS = Parameter(
    name="CONNECTOR_ENDPOINTS",
    label="Addresses of the connector services",
    description="The only addresses that a message or a token is sent to: one for each shard, comma-separated.",
    example="https://threadline-connector-0-000000000000.europe-west1.run.app",
    pattern=rf"{_ORIGIN}(,{_ORIGIN})*",
    rule="must be https addresses without a path or a final '/', separated by commas alone",
)
FUNCTIONS_SERVICE_ACCOUNT = Parameter(
    name="FUNCTIONS_SERVICE_ACCOUNT",
    label="Service account of the functions",
    description="The functions run as this account, and call the connector as this account.",
    example="threadline-functions@your-project.iam.gserviceaccount.com",
    pattern=_SERVICE_ACCOUNT,
    rule=_NO_SERVICE_ACCOUNT,
)
CONNECTOR_SERVICE_ACCOUNT = Parameter(
    name="CONNECTOR_SERVICE_ACCOUNT",
    label="Service account of the connector",
    description="The only caller of threadlineFlush.",
    example="threadline-connector@your-project.iam.gserviceaccount.com",
    pattern=_SERVICE_ACCOUNT,
    rule=_NO_SERVICE_ACCOUNT,
)
TASKS_SERVICE_ACCOUNT = Parameter(
    name="TASKS_SERVICE_ACCOUNT",
    label="Service account of the tasks",
    description="Cloud Tasks calls threadlineSend as this account.",
    example="threadline-tasks@your-project.iam.gserviceaccount.com",
    pattern=_SERVICE_ACCOUNT,
    rule=_NO_SERVICE_ACCOUNT,
)
FUNCTIONS_REGION = Parameter(
    name="FUNCTIONS_REGION",
    label="Region of the functions",
    description="Where Firestore and the connector are: each call between regions takes tens of milliseconds.",
    example="europe-west1",
    pattern=r"[a-z]+-[a-z]+[0-9]+",
    rule="must be the name of a region",
    default="europe-west1",
)
FIRESTORE_DATABASE = Parameter(
    name="FIRESTORE_DATABASE",
    label="Firestore database",
    description="A database of its own in a project whose (default) database an application uses.",
    example="threadline",
    pattern=r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]",
    rule="must be (default), or 4 to 63 lower-case letters, digits and hyphens that begin with a letter",
    default="(default)",
)
ALERT_WEBHOOK_URL = Parameter(
    name="ALERT_WEBHOOK_URL",
    label="Webhook for alerts",
    description="Changes of alerts are posted to this address (docs/alerts.md). Empty: no webhook.",
    example="https://example.com/threadline-alerts",
    pattern=r"(https://[^\s/?#@]+([/?]\S*)?|http://(127\.0\.0\.1|localhost):[0-9]+(/\S*)?)?",
    rule="must be an https address without a user name, or empty",
    default="",
)

LOG_HASH_KEY = SecretParam(
    "THREADLINE_LOG_HASH_KEY",
    description="A random string, the same as the connector's: the key of the hashes by which logs name threads and messages.",
)
"""Secrets of every function that works on threads, requests or rows, since each of them may log a hash."""
ALERT_WEBHOOK_SECRET = SecretParam(
    "THREADLINE_ALERT_WEBHOOK_SECRET", description="Signs the webhook of alerts. Without a webhook, any random string."
)

PARAMETERS = (
    CONNECTOR_ENDPOINTS,
    FUNCTIONS_SERVICE_ACCOUNT,
    CONNECTOR_SERVICE_ACCOUNT,
    TASKS_SERVICE_ACCOUNT,
    FUNCTIONS_REGION,
    FIRESTORE_DATABASE,
    ALERT_WEBHOOK_URL,
)


def complaints(environment: Mapping[str, str]) -> list[str]:
    """One line for each parameter that is missing or malformed."""
    found = []
    for parameter in PARAMETERS:
        try:
            parameter.value(environment)
        except InvalidParameter as invalid:
            found.append(str(invalid))
    return found
