"""One grant of a role: its member, its resource, and who makes the grant."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a role is granted on."""

    PROJECT = "project"
    SERVICE_ACCOUNT = "service account"
    SECRET = "secret"  # noqa: S105 - a kind of resource
    SERVICE = "Cloud Run service"
    QUEUE = "queue"
    REPOSITORY = "Artifact Registry repository"


class GrantedBy(StrEnum):
    DEPLOY = "deploy"
    """`python -m deploy`, with a command of its own."""
    FIREBASE = "firebase deploy"
    """firebase-tools makes it while it deploys the functions."""
    GOOGLE = "Google"
    """Google makes it when the API is first used. The doctor only checks it."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    kind: Kind
    name: str
    """The project's id, a service account's e-mail, or the resource's own short name."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """An IAM condition: the grant applies only where the expression is true."""

    title: str
    expression: str


@dataclass(frozen=True, kw_only=True)
class Grant:
    member: str
    """As IAM writes it: `serviceAccount:E-MAIL`, or `allUsers`."""
    role: str
    resource: Resource
    why: str
    granted_by: GrantedBy = GrantedBy.DEPLOY
    condition: Condition | None = None

    @property
    def is_before_functions(self) -> bool:
        """Whether the grant can be made before functions and connectors exist."""
        return self.resource.kind not in (Kind.SERVICE, Kind.QUEUE)
