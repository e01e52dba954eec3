"""Takes up what a lost trigger, job or worker has left behind, and tells what somebody must act on."""

from dataclasses import asdict, dataclass
from functools import partial

from backend import log
from backend.clock import now
from backend.steps import Steps
from backend.sweep_alerts import AlertSweep, Seen
from backend.sweep_codes import CodeSweep
from backend.sweep_owners import OwnerSweep, SweptOwners
from backend.sweep_pauses import PauseSweep
from backend.sweep_requests import RequestSweep, SweptRequests
from backend.sweep_rows import RowSweep, SweptRows


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a run has taken up."""

    rows: int
    """That were taken up."""
    chats: int
    """With such rows."""
    refused: int
    """Rows that cannot be understood, and were marked."""
    early: int
    """Rows that go on waiting for their message."""
    parked: int
    """Of these, those that wait apart from now on."""
    found: int
    """Rows that waited apart, and are done."""
    accepted: int
    threads: int
    """That were given a send job."""
    resting: int
    """Threads that wait for their account, or for a cold message's time."""
    codes: int
    """Pairing codes that were erased."""
    paused: int
    """Pauses that were told in the place of an owner that had died."""
    poked: int
    """Accounts without an owner that a connector was told of."""
    opened: int
    resolved: int
    """Alerts."""
    failed: int
    """Steps that failed: the log has each, and the next run tries again."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Idempotent; a second run beside it does no harm."""

    rows: RowSweep
    requests: RequestSweep
    codes: CodeSweep
    pauses: PauseSweep
    owners: OwnerSweep
    alerts: AlertSweep

    def run(self) -> Swept:
        """Each part stands for itself: what fails in one leaves the others their turn."""
        steps, at = Steps(), now()
        rows = steps.result("rows", partial(self.rows.run, steps, at)) or SweptRows()
        found = steps.result("parked rows", partial(self.rows.look_at_parked, steps, at)) or 0
        requests = steps.result("requests", partial(self.requests.run, steps, at)) or SweptRequests()
        codes = steps.result("codes", partial(self.codes.run, steps, at)) or 0
        paused = steps.result("pauses", partial(self.pauses.run, steps, at)) or 0
        owners = steps.result("owners", partial(self.owners.run, steps, at)) or SweptOwners()
        seen = Seen(owners=owners, late_accounts=frozenset(rows.late_accounts), late_heads=requests.late_heads)
        opened = steps.result("alerts", partial(self.alerts.raise_seen, steps, seen, at)) or 0
        resolved = steps.result("alerts' ends", partial(self.alerts.close, steps, seen, now())) or 0
        swept = Swept(
            rows=rows.rows,
            chats=rows.chats,
            refused=rows.refused,
            early=rows.early,
            parked=rows.parked,
            found=found,
            accepted=requests.accepted,
            threads=requests.threads,
            resting=requests.resting,
            codes=codes,
            paused=paused,
            poked=owners.poked,
            opened=opened,
            resolved=resolved,
            failed=steps.failed,
        )
        log.swept(**asdict(swept))
        return swept
