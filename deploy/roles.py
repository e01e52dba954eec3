"""Who may do what: each grant with the resource that it is on, the reason, and who makes it. Least rights: a role is granted on the
project only where the role cannot be granted on a smaller resource.

Sources: Eventarc, https://cloud.google.com/eventarc/standard/docs/functions/roles-permissions. Cloud Tasks' tokens,
https://cloud.google.com/tasks/docs/creating-http-target-tasks#token (the caller needs iam.serviceAccounts.actAs). Builds with an
account of their own, https://cloud.google.com/build/docs/securing-builds/configure-user-specified-service-accounts. The functions'
build, https://cloud.google.com/build/docs/cloud-build-service-account-updates. Metrics sidecar,
https://cloud.google.com/run/docs/monitoring-managed-prometheus-sidecar. Cloud SQL, https://cloud.google.com/sql/docs/postgres/roles-and-permissions.
One Firestore database of several, https://cloud.google.com/firestore/docs/manage-databases (IAM conditions).
What firebase-tools binds by itself: `ensureServiceAgentRoles`, `grantSecretAccess` and the fabricator's `setInvokerCreate`.
"""

from collections.abc import Iterator

from deploy.deployment import IMAGE_REPOSITORY, Account, Deployment, connector_service
from deploy.grant import Condition, Grant, GrantedBy, Kind, Resource
from deploy.resources import FLUSH_FUNCTION, FUNCTIONS, SECRETS, SEND_FUNCTION, SEND_QUEUE, SWEEP_FUNCTION, Caller

__all__ = [
    "DEPLOYER_ROLES",
    "Condition",
    "Grant",
    "GrantedBy",
    "Kind",
    "Resource",
    "default_compute_member",
    "grants",
    "made_by_deploy",
]


def grants(deployment: Deployment) -> list[Grant]:
    """Every grant, in the order in which they are made."""
    return [
        *_functions(deployment),
        *_connector(deployment),
        *_tasks(deployment),
        *_builds(deployment),
        *_service_agents(deployment),
        *_firebase(deployment),
    ]


def made_by_deploy(deployment: Deployment) -> list[Grant]:
    return [grant for grant in grants(deployment) if grant.granted_by is GrantedBy.DEPLOY]


def _functions(deployment: Deployment) -> Iterator[Grant]:
    member = _member(deployment, Account.FUNCTIONS)
    yield _database_user(deployment, member, "read and write Firestore")
    yield Grant(
        member=member,
        role="roles/eventarc.eventReceiver",
        resource=_project(deployment),
        why="receive Firestore's events: the triggers run as this account",
    )
    yield Grant(
        member=member,
        role="roles/iam.serviceAccountUser",
        resource=Resource(kind=Kind.SERVICE_ACCOUNT, name=deployment.email(Account.TASKS)),
        why="create tasks that carry the tasks account's token",
    )
    yield from _secret_readers(deployment, Account.FUNCTIONS)
    yield Grant(
        member=member,
        role="roles/cloudtasks.enqueuer",
        resource=Resource(kind=Kind.QUEUE, name=SEND_QUEUE),
        why="create send tasks",
    )
    yield Grant(
        member=member,
        role="roles/run.invoker",
        resource=Resource(kind=Kind.SERVICE, name=SEND_FUNCTION.lower()),
        why="firebase-tools gives this role to every account that may create tasks",
        granted_by=GrantedBy.FIREBASE,
    )
    for function in FUNCTIONS:
        if function.caller is Caller.EVENTS:
            yield _invoker(member, function.service, "deliver the function's events")
    yield _invoker(member, SWEEP_FUNCTION.lower(), "let Cloud Scheduler call the sweeper each minute")
    for shard in range(deployment.shards):
        yield _invoker(member, connector_service(shard), "call the connector")


def _connector(deployment: Deployment) -> Iterator[Grant]:
    member = _member(deployment, Account.CONNECTOR)
    yield _database_user(deployment, member, "read and write Firestore")
    if deployment.uses_cloud_sql:
        yield Grant(
            member=member,
            role="roles/cloudsql.client",
            resource=_project(deployment),
            why="connect to the session store; this role can be granted only on the project",
        )
    yield Grant(
        member=member,
        role="roles/monitoring.metricWriter",
        resource=_project(deployment),
        why="let the metrics sidecar write to Cloud Monitoring",
    )
    yield Grant(
        member=member,
        role="roles/logging.logWriter",
        resource=_project(deployment),
        why="let the metrics sidecar write its own log",
    )
    yield from _secret_readers(deployment, Account.CONNECTOR)
    yield _invoker(member, FLUSH_FUNCTION.lower(), "call flush when a session has opened")


def _tasks(deployment: Deployment) -> Iterator[Grant]:
    member = _member(deployment, Account.TASKS)
    yield _invoker(member, SEND_FUNCTION.lower(), "let Cloud Tasks call the send function")
    yield Grant(
        member=member,
        role="roles/cloudtasks.enqueuer",
        resource=Resource(kind=Kind.QUEUE, name=SEND_QUEUE),
        why="firebase-tools gives this role to every account that may call the function; no token of this account creates a task",
        granted_by=GrantedBy.FIREBASE,
    )


def _builds(deployment: Deployment) -> Iterator[Grant]:
    member = _member(deployment, Account.BUILD)
    yield Grant(
        member=member,
        role="roles/artifactregistry.writer",
        resource=Resource(kind=Kind.REPOSITORY, name=IMAGE_REPOSITORY),
        why="push the connector's image",
    )
    yield Grant(
        member=member,
        role="roles/logging.logWriter",
        resource=_project(deployment),
        why="write the build's log: a build with its own account cannot use the default log bucket",
    )
    yield Grant(
        member=member,
        role="roles/storage.objectViewer",
        resource=_project(deployment),
        why="read the uploaded source, in a bucket that Cloud Build creates with the first build",
    )
    yield Grant(
        member=default_compute_member(deployment),
        role="roles/cloudbuild.builds.builder",
        resource=_project(deployment),
        why="build the functions: firebase-tools cannot choose another account, and a new project gives this account no role",
    )


def _service_agents(deployment: Deployment) -> Iterator[Grant]:
    number = deployment.project_number
    yield Grant(
        member=f"serviceAccount:service-{number}@gcp-sa-eventarc.iam.gserviceaccount.com",
        role="roles/eventarc.serviceAgent",
        resource=_project(deployment),
        why="let Eventarc set up the delivery of events; granted by the deploy, since Google's own grant takes minutes",
    )


def _firebase(deployment: Deployment) -> Iterator[Grant]:
    """What a first `firebase deploy` of event functions grants by itself. Threadline does not need these grants."""
    number, project = deployment.project_number, _project(deployment)
    for member, role in (
        (
            f"serviceAccount:service-{number}@gcp-sa-pubsub.iam.gserviceaccount.com",
            "roles/iam.serviceAccountTokenCreator",
        ),
        (default_compute_member(deployment), "roles/run.invoker"),
        (default_compute_member(deployment), "roles/eventarc.eventReceiver"),
    ):
        yield Grant(
            member=member,
            role=role,
            resource=project,
            why="firebase-tools grants it before it deploys the first event function; Threadline's functions run as another account",
            granted_by=GrantedBy.FIREBASE,
        )
    for function in FUNCTIONS:
        if function.caller is Caller.PEOPLE:
            yield Grant(
                member="allUsers",
                role="roles/run.invoker",
                resource=Resource(kind=Kind.SERVICE, name=function.service),
                why="a callable is called from people's devices; the function checks the ID token and the role",
                granted_by=GrantedBy.FIREBASE,
            )


def _database_user(deployment: Deployment, member: str, why: str) -> Grant:
    """The grant for a named database covers that database alone, since the project's other databases belong to an application."""
    condition = None
    if deployment.has_named_database:
        condition = Condition(
            title="threadline-database",
            expression=f'resource.name == "projects/{deployment.project}/databases/{deployment.database}"',
        )
    return Grant(
        member=member, role="roles/datastore.user", resource=_project(deployment), why=why, condition=condition
    )


def _secret_readers(deployment: Deployment, account: Account) -> Iterator[Grant]:
    for secret in SECRETS:
        if account in secret.readers:
            yield Grant(
                member=_member(deployment, account),
                role="roles/secretmanager.secretAccessor",
                resource=Resource(kind=Kind.SECRET, name=secret.name),
                why=f"read {secret.why}",
            )


def _invoker(member: str, service: str, why: str) -> Grant:
    return Grant(member=member, role="roles/run.invoker", resource=Resource(kind=Kind.SERVICE, name=service), why=why)


def _member(deployment: Deployment, account: Account) -> str:
    return f"serviceAccount:{deployment.email(account)}"


def default_compute_member(deployment: Deployment) -> str:
    return f"serviceAccount:{deployment.project_number}-compute@developer.gserviceaccount.com"


def _project(deployment: Deployment) -> Resource:
    return Resource(kind=Kind.PROJECT, name=deployment.project)


DEPLOYER_ROLES = {
    "roles/serviceusage.serviceUsageAdmin": "enable the APIs",
    "roles/firebase.admin": "make the project a Firebase project; deploy functions, rules and indexes; manage users",
    "roles/iam.serviceAccountAdmin": "create the service accounts, and grant roles on them",
    "roles/iam.serviceAccountUser": "deploy functions, services and builds that run as them",
    "roles/resourcemanager.projectIamAdmin": "grant roles on the project",
    "roles/artifactregistry.admin": "create the image repository, and grant roles on it",
    "roles/cloudbuild.builds.editor": "build the image",
    "roles/storage.admin": "upload the source of a build to its bucket",
    "roles/cloudsql.admin": "create the session store (not with a PostgreSQL of your own)",
    "roles/secretmanager.admin": "create the secrets, and grant roles on them",
    "roles/datastore.owner": "create the database, its backups and documents",
    "roles/run.admin": "deploy the connector, and grant its invoker role",
    "roles/cloudtasks.admin": "grant roles on the send queue",
    "roles/logging.configWriter": "create the log-based metrics",
    "roles/monitoring.editor": "create the dashboard",
}
"""What the person who deploys needs on the project, unless Owner (roles/owner)."""
