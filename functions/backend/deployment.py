"""How the functions are deployed: each setting with its reason. Imported before any decorator, for the global options.

THREADS, which firebase-functions never derives from a function's concurrency, stands in `.env` beside main.py.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from firebase_functions import options

from backend.deploy_check import stop_an_invalid_deploy
from backend.params import FUNCTIONS_REGION, FUNCTIONS_SERVICE_ACCOUNT, Parameter

Function = TypeVar("Function", bound=Callable[..., Any])

stop_an_invalid_deploy()

MEMORY = options.MemoryOption.MB_512
"""A function's processes take about 100 MB; 80 events at once with rows of up to 256 KiB need the rest."""

CONCURRENCY = 80
"""The work is waiting for Firestore and the connector, so one instance takes many events; as many as THREADS."""

MAX_INSTANCES = 20
"""20 x 80 events at once are more than Firestore's limits on hot documents let through; more instances would only contend."""

WARM_INSTANCES = 1
"""A cold start takes seconds: on the path of a message, in or out, one instance stays up."""

TRIGGER_TIMEOUT_S = 60
"""An early receipt is tried for 5 s, a contended thread for some 20 s; what takes longer is retried by the platform."""

SEND_TIMEOUT_S = 120
"""A job's budget (60 s), one last claim (30 s) and its settling: the dispatch deadline of core/timing.py."""

CALLABLE_TIMEOUT_S = 30
"""A person waits for the answer; the connector answers or not within 10 s."""

FLUSH_TIMEOUT_S = 60
"""Up to ten pages of a query, and an enqueue for each thread, 16 at a time."""

SWEEP_TIMEOUT_S = 300
"""A full sweep is bounded by its page sizes; the next minute's run beside it does no harm."""

SEND_RATE = options.RateLimits(max_concurrent_dispatches=500, max_dispatches_per_second=500)
"""Cloud Tasks' own maximum a second: pacing is per account, in the connector, and must not be a queue's for everybody."""

SEND_RETRY = options.RetryConfig(
    max_attempts=20, min_backoff_seconds=1, max_backoff_seconds=60, max_doublings=6, max_retry_seconds=0
)
"""Only what is broken is retried (waiting is a 200 and a new task). 20 attempts last some 15 minutes, well over the 60 s
for which a killed writer's lock may hold a document; what is left after them is the sweeper's."""

options.set_global_options(
    region=FUNCTIONS_REGION.expression,
    service_account=FUNCTIONS_SERVICE_ACCOUNT.expression,
    memory=MEMORY,
    concurrency=CONCURRENCY,
    max_instances=MAX_INSTANCES,
    cpu=1,
)


def retried(function: Function) -> Function:
    """Turns the platform's retry of an event trigger on: firebase-functions has no option for it, and the deployed manifest
    is made from this endpoint."""
    function.__firebase_endpoint__.eventTrigger["retry"] = True  # type: ignore[attr-defined] # the decorator below adds it
    return function


def invoked_by(*accounts: Parameter) -> Callable[[Function], Function]:
    """Lets these service accounts alone call a task queue function: firebase-functions reads the option `invoker` and drops it.

    `firebase deploy` gives them roles/run.invoker on the function's service and roles/cloudtasks.enqueuer on its queue, and takes both
    roles from every other account (firebase-tools 15, `setEnqueuer` and `setInvokerUpdate`). So the account that creates the tasks has
    to be among them, beside the one whose token the tasks carry.
    """

    def declared(function: Function) -> Function:
        function.__firebase_endpoint__.taskQueueTrigger["invoker"] = [  # type: ignore[attr-defined] # as above
            account.expression for account in accounts
        ]
        return function

    return declared
