"""What Threadline needs in a project, as data: APIs, service accounts, functions, secrets. Roles are in roles.py.

The deploy command creates these, `python -m connector.admin doctor` checks them, and docs/deploy.md lists them.
"""

from dataclasses import dataclass
from enum import StrEnum

from deploy.deployment import Account


@dataclass(frozen=True, kw_only=True)
class Api:
    name: str
    why: str
    only_with_cloud_sql: bool = False


APIS = (
    Api(name="cloudresourcemanager.googleapis.com", why="reads and writes the project's roles"),
    Api(name="serviceusage.googleapis.com", why="enables the other APIs"),
    Api(name="iam.googleapis.com", why="service accounts"),
    Api(name="firebase.googleapis.com", why="the Firebase project"),
    Api(name="firebaserules.googleapis.com", why="security rules"),
    Api(name="firestore.googleapis.com", why="the database"),
    Api(name="identitytoolkit.googleapis.com", why="Firebase Authentication: who an employee or super-admin is"),
    Api(name="cloudfunctions.googleapis.com", why="the functions"),
    Api(name="compute.googleapis.com", why="creates the default compute account, which builds the functions"),
    Api(name="run.googleapis.com", why="runs functions and connectors"),
    Api(name="eventarc.googleapis.com", why="delivers Firestore's events to the functions"),
    Api(name="pubsub.googleapis.com", why="carries Eventarc's events"),
    Api(name="storage.googleapis.com", why="holds the sources while they are built"),
    Api(name="cloudbuild.googleapis.com", why="builds the functions and the connector's image"),
    Api(name="artifactregistry.googleapis.com", why="keeps the built images"),
    Api(name="cloudtasks.googleapis.com", why="the send queue"),
    Api(name="cloudscheduler.googleapis.com", why="calls the sweeper each minute"),
    Api(name="secretmanager.googleapis.com", why="the secrets"),
    Api(name="sqladmin.googleapis.com", why="the session store", only_with_cloud_sql=True),
    Api(name="monitoring.googleapis.com", why="metrics and the dashboard"),
    Api(name="logging.googleapis.com", why="log-based metrics"),
)
"""The APIs of 2nd generation functions are from https://firebase.google.com/docs/functions/get-started and firebase-tools'
`ensureAllRequiredAPIsEnabled`; the others belong to the product named beside them."""

SERVICE_AGENT_APIS = ("eventarc.googleapis.com", "pubsub.googleapis.com")
"""APIs whose Google-managed service agent must exist before the first function of an event is created."""


@dataclass(frozen=True, kw_only=True)
class ServiceAccount:
    account: Account
    display_name: str
    why: str


SERVICE_ACCOUNTS = (
    ServiceAccount(account=Account.FUNCTIONS, display_name="Threadline functions", why="runs the functions"),
    ServiceAccount(account=Account.CONNECTOR, display_name="Threadline connector", why="runs the connector services"),
    ServiceAccount(
        account=Account.TASKS,
        display_name="Threadline send tasks",
        why="Cloud Tasks calls the send function as this account",
    ),
    ServiceAccount(account=Account.BUILD, display_name="Threadline image build", why="builds the connector's image"),
)


class Caller(StrEnum):
    """Who calls a function, and so who needs its invoker role."""

    EVENTS = "Eventarc, as the functions' account"
    TASKS = "Cloud Tasks, as the tasks' account"
    SCHEDULER = "Cloud Scheduler, as the functions' account"
    CONNECTOR = "the connector"
    PEOPLE = "signed-in people; the function itself checks who they are"


@dataclass(frozen=True, kw_only=True)
class Function:
    name: str
    caller: Caller

    @property
    def service(self) -> str:
        """The Cloud Run service that runs it: Cloud Functions lowers the case of a function's name."""
        return self.name.lower()


FUNCTIONS = (
    Function(name="threadlineOnIngest", caller=Caller.EVENTS),
    Function(name="threadlineOnOutbox", caller=Caller.EVENTS),
    Function(name="threadlineOnAlert", caller=Caller.EVENTS),
    Function(name="threadlinePostAlert", caller=Caller.EVENTS),
    Function(name="threadlineSend", caller=Caller.TASKS),
    Function(name="threadlineFlush", caller=Caller.CONNECTOR),
    Function(name="threadlineSweep", caller=Caller.SCHEDULER),
    Function(name="threadlineCreateAccount", caller=Caller.PEOPLE),
    Function(name="threadlinePairAccount", caller=Caller.PEOPLE),
    Function(name="threadlineAnswerPasskey", caller=Caller.PEOPLE),
    Function(name="threadlineSetDesiredState", caller=Caller.PEOPLE),
    Function(name="threadlineLogoutAccount", caller=Caller.PEOPLE),
    Function(name="threadlineCloseGap", caller=Caller.PEOPLE),
    Function(name="threadlineSetAccountLimits", caller=Caller.PEOPLE),
    Function(name="threadlineStartConversation", caller=Caller.PEOPLE),
    Function(name="threadlineCancelRequest", caller=Caller.PEOPLE),
    Function(name="threadlineResolveRequest", caller=Caller.PEOPLE),
)

CODEBASE = "threadline"
FUNCTION_PREFIX = "threadline"
SEND_FUNCTION = "threadlineSend"
FLUSH_FUNCTION = "threadlineFlush"
SWEEP_FUNCTION = "threadlineSweep"
SEND_QUEUE = "threadlineSend"
"""firebase-tools names a task queue after its function."""
SEND_QUEUE_SETTINGS: dict[str, object] = {
    "rateLimits.maxConcurrentDispatches": 500,
    "rateLimits.maxDispatchesPerSecond": 500,
    "retryConfig.maxAttempts": 20,
    "retryConfig.minBackoff": "1s",
    "retryConfig.maxBackoff": "60s",
    "retryConfig.maxDoublings": 6,
}
"""As Cloud Tasks shows them (https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues). backend/deployment.py has them
for firebase-tools, each with its reason; a test compares the two."""
SWEEP_SCHEDULE = "* * * * *"
SWEEP_JOB = "firebase-schedule-threadlineSweep"
"""The Cloud Scheduler job, as firebase-tools names it (`scheduleIdForFunction`), with the region after it: see `sweep_job`."""


def sweep_job(region: str) -> str:
    return f"{SWEEP_JOB}-{region}"


@dataclass(frozen=True, kw_only=True)
class Secret:
    name: str
    why: str
    readers: tuple[Account, ...]
    is_generated: bool
    """Whether the deploy command generates the value: a random string."""


ENGINE_STORE = Secret(
    name="threadline-engine-store",
    why="the session store's address, with its password",
    readers=(Account.CONNECTOR,),
    is_generated=False,
)
LOG_HASH_KEY = Secret(
    name="THREADLINE_LOG_HASH_KEY",
    why="the key of the hashes by which logs name threads and messages",
    readers=(Account.FUNCTIONS, Account.CONNECTOR),
    is_generated=True,
)
ALERT_WEBHOOK_SECRET = Secret(
    name="THREADLINE_ALERT_WEBHOOK_SECRET",
    why="the key that signs the webhook of alerts",
    readers=(Account.FUNCTIONS,),
    is_generated=True,
)
SECRETS = (ENGINE_STORE, LOG_HASH_KEY, ALERT_WEBHOOK_SECRET)
"""A secret of the functions has the name of its environment variable, since firebase-tools supports no other name."""

STORE_LABEL = "threadline-store"
"""The label of the engine store's secret that says whose PostgreSQL it is: `cloud-sql` or `given`."""

OWNED_LABEL = "threadline"
"""The label (with the value `deploy`) on each resource that the deploy command made and that can carry labels."""
