"""The times of functions and connector that nest, under one scale; the engine's own (its internal/pace) are fixed."""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, kw_only=True)
class Timing:
    """All in seconds. Deadlines nest: engine < POST and notAfter < claim < the job's budget < its dispatch deadline."""

    engine_send_s: float = 20.0
    """The longest that the engine waits for WhatsApp's ack of one send."""
    post_s: float = 25.0
    """From the claim: the connector puts nothing on the wire after it (notAfter), and the POST's answer is awaited no longer."""
    claim_s: float = 30.0
    """How long a claimed request belongs to its job."""
    job_budget_s: float = 60.0
    """A send job begins no further request after it."""
    dispatch_deadline_s: float = 120.0
    """When Cloud Tasks gives a job up: budget, one last claim and its settling fit in."""
    backoff_s: float = 2.0
    """After the first attempt that is known to have ended; doubles with each."""
    backoff_max_s: float = 120.0
    away_s: float = 8.0
    """How often an owner that cannot be reached, or says that it is none, is asked again for a thread while its lease runs: three
    times in that of a dead one. Whoever takes the account over wakes its threads at once. What is older (sweep_age_s) is left to
    the sweeper."""
    claim_margin_s: float = 0.5
    """How long after a claim's end its follow-up job runs."""
    positive_lease_cache_s: float = 2.0
    """How old a "connected" may be; a "not connected" is always read afresh."""
    flush_interval_s: float = 5.0
    """However often a session opens in it, each of its waiting threads gets two jobs at most."""

    early_event_s: float = 5.0
    """How long an event that came before its message is tried again by its own trigger."""
    early_event_give_up_s: float = 24 * 3600.0
    queue_limit_s: float = 24 * 3600.0
    """How long a request may wait, where its account's document says nothing else: then it fails instead of going out stale."""
    queue_limit_least_s: float = 300.0
    """The shortest limit that an account can have. A younger head is sent without a look at the account's document."""
    sweep_age_s: float = 60.0
    """What is younger belongs to its trigger or job, not to the sweeper."""
    sweep_budget_s: float = 45.0
    """A sweep begins no further step of its work on rows or requests after it: the next run is a minute later."""
    early_event_park_s: float = 300.0
    """An early event that is older waits apart from the others, where it keeps none of them from being seen."""
    stuck_after_s: float = 600.0
    """How long a message may wait for a send job while its account is connected."""
    stuck_confirm_s: float = 10.0
    """How long the sweeper waits for the job that it has just enqueued, before it says that none comes."""
    backlog_after_s: float = 600.0
    """How long a row may wait in the ingest log that does not wait for its message."""
    no_owner_after_s: float = 120.0
    """How long an account may be without a connector: five TTLs."""
    alert_quiet_s: float = 24 * 3600.0
    """After which an alert is over that only told of messages that have ended."""
    webhook_limit_s: float = 3600.0
    """How long the post of an alert is tried again."""

    lease_ttl_s: float = 24.0
    lease_renew_s: float = 8.0
    lease_claim_s: float = 2.0
    """The longest time between a worker's looks for free leases. One that is near its capacity leaves as long again to others."""
    claim_pace_s: float = 0.1
    """A worker claims accounts, and opens sessions, no closer together: WhatsApp must not see all of them come at once."""
    heartbeat_s: float = 15.0
    pacing_hold_s: float = 3.0
    """How long a send waits in the connector for its turn, before it is told to come again later."""
    cold_lock_s: float = 6 * 3600.0
    """How long an account sends no cold message after WhatsApp has refused one (463) without saying for how long."""
    hearing_look_s: float = 8.0
    """How often a connected session's silence is looked at."""
    deaf_least_s: float = 1800.0
    """No shorter silence is held against an account's normal pattern."""

    def scaled(self, factor: float) -> "Timing":
        """Every constant times `factor`: tests run the same proportions in less time. Raises ValueError unless factor > 0."""
        if not factor > 0:
            raise ValueError(f"the time scale must be a number above 0, not {factor}")
        return replace(self, **{field.name: getattr(self, field.name) * factor for field in fields(self)})
