"""What the connector counts for Prometheus. Labels name kinds and outcomes only: no account, chat or number."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_REGISTRY = CollectorRegistry()

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
WAL_ROWS = Counter("connector_wal_rows", "Rows of the ingest log, by result", ["result"], registry=_REGISTRY)
WAL_COMMIT_SECONDS = Histogram("connector_wal_commit_seconds", "Group commits that succeeded", registry=_REGISTRY)
WAL_COMMIT_FAILURES = Counter(
    "connector_wal_commit_failures", "Group commits that were tried again", registry=_REGISTRY
)
ACKNOWLEDGED = Counter("connector_events_acknowledged", "Events acknowledged to the engine", registry=_REGISTRY)
SENDS = Counter("connector_sends", "Answers to POST /v1/send, by outcome", ["outcome"], registry=_REGISTRY)
FLUSHES = Counter("connector_flushes", "Flush calls, by result", ["result"], registry=_REGISTRY)


def exposition() -> bytes:
    return generate_latest(_REGISTRY)
