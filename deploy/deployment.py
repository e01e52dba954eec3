"""A deployment: its project, region, database and shards, and the names and addresses that follow from these. Sends no request."""

import re
from dataclasses import dataclass
from enum import StrEnum

DEFAULT_REGION = "europe-west1"
DEFAULT_DATABASE = "(default)"

_PROJECT = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]")
_NUMBER = re.compile(r"[1-9][0-9]*")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+")
_DATABASE = re.compile(r"\(default\)|[a-z](?:[a-z0-9-]{2,61})[a-z0-9]")
_MOST_SHARDS = 99


class InvalidDeployment(ValueError):
    """A parameter is malformed. The message names it and gives an example."""


class Account(StrEnum):
    """The project's own service accounts, by the part before the `@`."""

    FUNCTIONS = "threadline-functions"
    CONNECTOR = "threadline-connector"
    TASKS = "threadline-tasks"
    BUILD = "threadline-build"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One installation of Threadline. Raises InvalidDeployment."""

    project: str
    project_number: str
    region: str = DEFAULT_REGION
    database: str = DEFAULT_DATABASE
    """The Firestore database of all of Threadline's documents."""
    shards: int = 1
    """The number of connector services. The first shard is 0."""
    uses_cloud_sql: bool = True
    """Whether the session store is the Cloud SQL instance that the deploy creates; else it is a PostgreSQL of the operator's."""

    def __post_init__(self) -> None:
        _check("project", self.project, _PROJECT, "my-company-inbox")
        _check("project_number", self.project_number, _NUMBER, "123456789012")
        _check("region", self.region, _REGION, DEFAULT_REGION)
        _check("database", self.database, _DATABASE, "threadline")
        if not 1 <= self.shards <= _MOST_SHARDS:
            raise InvalidDeployment(f"shards must be a number from 1 to {_MOST_SHARDS}, not {self.shards}")

    @property
    def has_named_database(self) -> bool:
        return self.database != DEFAULT_DATABASE

    def email(self, account: Account) -> str:
        return f"{account}@{self.project}.iam.gserviceaccount.com"

    @property
    def connector_services(self) -> list[str]:
        return [connector_service(shard) for shard in range(self.shards)]

    def connector_endpoint(self, shard: int) -> str:
        """The service's deterministic address, known before the service exists.

        https://cloud.google.com/run/docs/triggering/https-request, "Deterministic URL".
        """
        return f"https://{connector_service(shard)}-{self.project_number}.{self.region}.run.app"

    @property
    def connector_endpoints(self) -> list[str]:
        return [self.connector_endpoint(shard) for shard in range(self.shards)]

    def function_url(self, function: str) -> str:
        """The address that Cloud Functions gives each function, known before the function exists."""
        return f"https://{self.region}-{self.project}.cloudfunctions.net/{function}"

    @property
    def sql_connection(self) -> str:
        return f"{self.project}:{self.region}:{SQL_INSTANCE}"

    @property
    def image_repository(self) -> str:
        return f"{self.region}-docker.pkg.dev/{self.project}/{IMAGE_REPOSITORY}"

    def image(self, tag: str) -> str:
        return f"{self.image_repository}/connector:{tag}"


CONNECTOR_PREFIX = "threadline-connector-"
"""How the name of each connector service begins; the shard's number follows."""


def connector_service(shard: int) -> str:
    return f"{CONNECTOR_PREFIX}{shard}"


SQL_INSTANCE = "threadline-sessions"
SQL_DATABASE = "engine"
SQL_USER = "engine"
IMAGE_REPOSITORY = "threadline"
"""The Artifact Registry repository of the connector's images."""


def _check(name: str, value: str, pattern: re.Pattern[str], example: str) -> None:
    if not pattern.fullmatch(value):
        raise InvalidDeployment(f"{name} must look like {example}, not {value!r}")
