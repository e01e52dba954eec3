"""What the connector counts for Prometheus. Labels name kinds and outcomes only: no account, chat or number."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_REGISTRY = CollectorRegistry()
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)


class Waiting:
    """How many of a kind are under way, and how long the oldest has been."""

    def __init__(self, name: str, what: str) -> None:
        self._began: dict[object, float] = {}
        count = Gauge(name, f"{what} now", registry=_REGISTRY)
        oldest = Gauge(
            f"{name}_oldest_seconds", f"{what}: the age of the oldest; 0 where there is none", registry=_REGISTRY
        )
        count.set_function(lambda: len(self._began))
        oldest.set_function(self._oldest_s)

    def begin(self) -> object:
        """To be ended with what it answers."""
        one = object()
        self._began[one] = time.monotonic()
        return one

    def end(self, one: object) -> float:
        """The seconds that it took. Idempotent: 0 from the second time on."""
        began = self._began.pop(one, None)
        return 0.0 if began is None else time.monotonic() - began

    def _oldest_s(self) -> float:
        began = next(iter(self._began.values()), None)
        return 0.0 if began is None else time.monotonic() - began


SESSIONS = Gauge("connector_sessions", "Accounts that this worker owns", registry=_REGISTRY)
AT_CAPACITY = Gauge(
    "connector_at_capacity", "1 while this worker owns as many accounts as it may, and claims none", registry=_REGISTRY
)
CONNECTED = Gauge("connector_sessions_connected", "Sessions that are connected to WhatsApp", registry=_REGISTRY)
DEAF_RESETS = Counter(
    "connector_deaf_resets", "Sessions that were opened anew because they were strangely silent", registry=_REGISTRY
)
LEASES_LOST = Counter("connector_leases_lost", "Terms that ended without this worker's doing", registry=_REGISTRY)
ENGINE_RESTARTS = Counter(
    "connector_engine_restarts", "Times that the engine had ended by itself and was started again", registry=_REGISTRY
)
EVENTS = Counter("connector_events", "Events from the engine", ["kind"], registry=_REGISTRY)
UNSUPPORTED = Counter(
    "connector_unsupported_messages",
    "Messages of a kind that this version does not know, by the kind's name in WhatsApp's protocol",
    ["type"],
    registry=_REGISTRY,
)
GROUP_MESSAGES_HIDDEN = Counter(
    "connector_group_messages_hidden",
    "Messages in groups that were not taken up because GROUPS=hide",
    registry=_REGISTRY,
)
STATUSES = Gauge(
    "connector_sessions_by_status", "Sessions by what this worker has told last", ["status"], registry=_REGISTRY
)
LEASE_RENEWALS = Counter(
    "connector_lease_renewals", "Tries to renew a lease, by result", ["result"], registry=_REGISTRY
)
LEASE_RENEWAL_SECONDS = Histogram(
    "connector_lease_renewal_seconds", "Renewals that succeeded", buckets=_SECONDS, registry=_REGISTRY
)
UNACKNOWLEDGED = Waiting("connector_events_unacknowledged", "Events that are not acknowledged to the engine")
UNACKNOWLEDGED_BYTES = Gauge(
    "connector_events_unacknowledged_bytes",
    "Memory that the rows of events take that are not acknowledged to the engine",
    registry=_REGISTRY,
)
HELD_BACK = Gauge(
    "connector_sessions_held_back",
    "Sessions whose events are not read now, because events that are not acknowledged take the memory for them",
    registry=_REGISTRY,
)
EVENT_SECONDS = Histogram(
    "connector_event_seconds", "From an event's coming to its acknowledgement", buckets=_SECONDS, registry=_REGISTRY
)
SENDS_UNDER_WAY = Waiting("connector_sends_under_way", "Sends that have no answer")
SEND_SECONDS = Histogram(
    "connector_send_seconds",
    "From POST /v1/send to its answer, by outcome",
    ["outcome"],
    buckets=_SECONDS,
    registry=_REGISTRY,
)
WAL_ROWS = Counter("connector_wal_rows", "Rows of the ingest log, by result", ["result"], registry=_REGISTRY)
WAL_COMMIT_SECONDS = Histogram("connector_wal_commit_seconds", "Group commits that succeeded", registry=_REGISTRY)
WAL_COMMIT_FAILURES = Counter(
    "connector_wal_commit_failures", "Group commits that were tried again", registry=_REGISTRY
)
BACKLOG_ANNOUNCED = Counter(
    "connector_backlog_announced", "Messages that WhatsApp announced after a connect", registry=_REGISTRY
)
BACKLOG_LOST = Counter(
    "connector_backlog_lost",
    "Messages that WhatsApp announced after a connect and never handed over",
    registry=_REGISTRY,
)
HISTORY_DROPPED = Counter(
    "connector_history_parts_dropped",
    "Parts of accounts' histories from before they were linked that are not kept, or not any more",
    registry=_REGISTRY,
)
ACKNOWLEDGED = Counter("connector_events_acknowledged", "Events acknowledged to the engine", registry=_REGISTRY)
SENDS = Counter("connector_sends", "Answers to POST /v1/send, by outcome", ["outcome"], registry=_REGISTRY)
FLUSHES = Counter("connector_flushes", "Flush calls, by result", ["result"], registry=_REGISTRY)


def exposition() -> bytes:
    return generate_latest(_REGISTRY)
