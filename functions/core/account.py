"""An account's status and its lease: who owns the session, since which epoch, and what a super-admin has asked for."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from core.errors import ErrorCode, described
from core.hand_over import HandOverRequest, parse_hand_over
from core.ids import AccountId, InvalidId, WorkerId, phone_e164

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""leaseUntil of a lease that nobody holds."""
_MAX_COUNT = 2**63 - 1
"""Firestore's and the engine contract's int64."""
FLAPPING_CLAIMS = 5
_FLAPPING_TTLS = 25
"""So many claims within so many TTLs (10 minutes of 24 s): the account goes from hand to hand. A rollout is one claim."""


class Status(StrEnum):
    CONNECTING = "connecting"
    QR_READY = "qr_ready"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    RECONNECTING = "reconnecting"
    NEEDS_QR = "needs_qr"
    ERROR = "error"


class DesiredState(StrEnum):
    CONNECTED = "connected"
    PAUSED = "paused"


PAUSED = "paused"
"""disconnectReason of an account whose session is closed for that."""


class CommandKind(StrEnum):
    PAIR_QR = "pair_qr"
    PAIR_CODE = "pair_code"
    LOGOUT = "logout"
    CLOSE_GAP = "close_gap"
    """Nobody waits for the missing messages any more."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a super-admin asks of the owner; `command_id` tells a new one from one that is already being carried out."""

    command_id: str
    kind: CommandKind
    phone_e164: str | None = None

    def document(self) -> dict[str, object]:
        return {"id": self.command_id, "kind": str(self.kind), "phoneE164": self.phone_e164}


def new_command(kind: CommandKind, phone: str | None = None) -> Command:
    return Command(command_id=secrets.token_hex(8), kind=kind, phone_e164=phone)


@dataclass(frozen=True, kw_only=True)
class Lease:
    """whatsapp_account_leases/{accountId}."""

    owner: WorkerId | None
    lease_until: datetime
    updated_at: datetime
    epoch: int | None
    """None where the document holds none: a guess could go backward."""
    endpoint: str | None
    wanted: bool
    command: Command | None
    recent_claims: tuple[datetime, ...] = ()
    """Of the last claims, as far as the last claimer kept them, the oldest first."""
    flapped_at: datetime | None = None
    """When there were too many of them, at last."""
    store_mark: int = 0
    """How far the account's session store had come, for whoever opens it next: a lower one is older. 0: not known."""
    hand_over_to: HandOverRequest | None = None
    """A newer connector at the owner's address asks for the account. The next claim clears the request."""
    owner_heeds_requests: bool = False
    """Whether the owner's version supports hand-over requests. Such a version writes the field with each claim."""

    def is_held(self, now: datetime) -> bool:
        return self.owner is not None and self.lease_until > now

    def is_held_by(self, worker: WorkerId, epoch: int) -> bool:
        """Whether this is still the worker's own term, whatever the clock says."""
        return self.owner == worker and self.epoch == epoch

    def is_claimable(self, now: datetime) -> bool:
        return self.wanted and self.has_next_epoch() and not self.is_held(now)

    def has_next_epoch(self) -> bool:
        return self.epoch is not None and self.epoch < _MAX_COUNT

    def next_epoch(self) -> int:
        """That of the term that follows. Raises ValueError where none can."""
        if self.epoch is None or not self.has_next_epoch():
            raise ValueError("no term can follow on this lease's epoch")
        return self.epoch + 1

    def free_since(self) -> datetime:
        """Of a lease that nobody holds."""
        return max(self.lease_until, self.updated_at)

    def received_at_floor(self) -> datetime:
        """The next owner's receivedAt lies after this: a former owner wrote nothing later, by its own clock."""
        return self.free_since()


def parse_lease(document: Mapping[str, object]) -> Lease:
    """Reads a lease document; what is missing or of a wrong type reads as its initial value, but for the epoch."""
    owner, endpoint, flapped_at = (document.get(name) for name in ("ownerInstanceId", "endpoint", "flappedAt"))
    return Lease(
        owner=WorkerId(owner) if isinstance(owner, str) and owner else None,
        lease_until=_time(document.get("leaseUntil")),
        updated_at=_time(document.get("updatedAt")),
        epoch=_count(document.get("epoch")),
        endpoint=endpoint if isinstance(endpoint, str) else None,
        wanted=document.get("wanted") is True,
        command=_parse_command(document.get("command")),
        recent_claims=_times(document.get("recentClaims")),
        flapped_at=flapped_at if isinstance(flapped_at, datetime) else None,
        store_mark=_count(document.get("storeMark")) or 0,
        hand_over_to=parse_hand_over(document.get("handOverTo")),
        owner_heeds_requests="handOverTo" in document,
    )


def new_lease_document(now: datetime) -> dict[str, object]:
    """A lease that any worker may claim."""
    return {
        "ownerInstanceId": None,
        "leaseUntil": NEVER,
        "updatedAt": now,
        "epoch": 0,
        "endpoint": None,
        "wanted": True,
        "command": None,
        "recentClaims": [],
        "flappedAt": None,
        "storeMark": 0,
    }


def claim_fields(lease: Lease, worker: WorkerId, endpoint: str, now: datetime, ttl_s: float) -> dict[str, object]:
    """A new term: the epoch only grows. The claim itself notes when too many came one after the other, since no other write sees
    them all; the sweeper looks for that note."""
    since = now - timedelta(seconds=flapping_window_s(ttl_s))
    claims = [*(at for at in lease.recent_claims if at > since), now][-FLAPPING_CLAIMS:]
    flapping: dict[str, object] = {"flappedAt": now} if len(claims) == FLAPPING_CLAIMS else {}
    return {
        "ownerInstanceId": worker,
        "endpoint": endpoint,
        "epoch": lease.next_epoch(),
        "leaseUntil": now + timedelta(seconds=ttl_s),
        "updatedAt": now,
        "recentClaims": claims,
        "handOverTo": None,
        **flapping,
    }


def flapping_window_s(ttl_s: float) -> float:
    return ttl_s * _FLAPPING_TTLS


def renewal_fields(now: datetime, ttl_s: float) -> dict[str, object]:
    return {"leaseUntil": now + timedelta(seconds=ttl_s), "updatedAt": now}


def release_fields(now: datetime) -> dict[str, object]:
    return {"ownerInstanceId": None, "endpoint": None, "leaseUntil": NEVER, "updatedAt": now}


def must_be_told_here(state: DesiredState, lease: Lease, now: datetime) -> bool:
    """Whether who writes this wish has to tell what comes of it: of a pause, its owner would, and nobody claims the account then."""
    return state is DesiredState.PAUSED and not lease.is_held(now)


def unowned_pause_fields() -> dict[str, object]:
    """The account's, without a code any more; under the precondition that its lease is the one that nobody holds."""
    return {"status": str(Status.DISCONNECTED), "disconnectReason": PAUSED, "assignedWorkerId": None}


def wanted_fields(state: DesiredState, now: datetime) -> dict[str, object]:
    """The lease's. updatedAt: an account that is wanted again has been without an owner from now on, not since it was paused."""
    return {"wanted": state is DesiredState.CONNECTED, "updatedAt": now}


def new_account_document(account: AccountId, name: str) -> dict[str, object]:
    """An account as threadlineCreateAccount writes it. Every field of the schema is present, so that queries find the account."""
    return {
        "accountId": account,
        "name": name,
        "phoneE164": None,
        "status": str(Status.NEEDS_QR),
        "lastSeenAt": None,
        "phoneLastSeenAt": None,
        "lastEventAt": None,
        "syncGapStartAt": None,
        "syncGapEndAt": None,
        "degraded": False,
        "degradedReason": None,
        "lastError": None,
        "disconnectReason": None,
        "reconnectCount": 0,
        "lastSyncedAt": None,
        "lastSyncedKey": None,
        "desiredState": str(DesiredState.CONNECTED),
        "assignedWorkerId": None,
    }


NO_CODES: Mapping[str, object] = {
    "qrCodeDataUrl": None,
    "pairingCode": None,
    "qrGeneratedAt": None,
    "qrExpiresAt": None,
    "passkey": None,
}
"""private/state when no pairing is under way."""


def code_expired_fields() -> dict[str, object]:
    """An account whose code ran out while nobody owned it."""
    error = described(ErrorCode.PAIRING_EXPIRED, "nobody used the code in time")
    return {"status": str(Status.NEEDS_QR), "lastError": error}


def _parse_command(value: object) -> Command | None:
    if not isinstance(value, dict):
        return None
    command_id, kind, phone = value.get("id"), value.get("kind"), value.get("phoneE164")
    if not isinstance(command_id, str) or not isinstance(kind, str) or kind not in list(CommandKind):
        return None
    if kind != CommandKind.PAIR_CODE:
        return Command(command_id=command_id, kind=CommandKind(kind))
    try:
        return Command(command_id=command_id, kind=CommandKind.PAIR_CODE, phone_e164=phone_e164(phone))
    except InvalidId:
        return None


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _MAX_COUNT else None


def _time(value: object) -> datetime:
    return value if isinstance(value, datetime) else NEVER


def _times(value: object) -> tuple[datetime, ...]:
    return tuple(each for each in value if isinstance(each, datetime)) if isinstance(value, list) else ()
