"""The lease's documents: finding free accounts, claiming one, renewing, taking a command, giving it back."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from google.api_core.exceptions import ServiceUnavailable
from google.cloud.firestore import AsyncClient, AsyncWriteBatch

from connector.accounts import AccountDocument
from connector.clock import now_s
from connector.queries import free_leases, leases_at_endpoint, leases_to_hand_over
from connector.store import PRECONDITION_FAILED, UNAVAILABLE, UpdateTime, commit
from connector.term import Term, TermLost
from core import schema
from core.account import Lease, claim_fields, parse_lease, release_fields, renewal_fields
from core.degradation import parse_degradation
from core.hand_over import HandOverRequest
from core.ids import AccountId, InvalidId, WorkerId, account_id
from core.pacing import parse_record
from core.phone_sight import parse_phone

_FENCE_MARGIN = 1 / 4
"""The part of the TTL that an owner leaves unused (6 s of 24), so that clocks of workers may differ by 5 s.

leaseUntil is 24 s after the owner's wall clock when it began to renew; the owner ends 18 s after that moment, on a clock that
nobody sets. Whoever claims waits until its own wall clock is past leaseUntil: where that runs 5 s ahead of the owner's, 19 s
after that moment. So a second is left for what differs besides (the two clocks' rates, a frame in the kernel's hands). Where
it runs 5 s behind, the claim comes 29 s after that moment: later, and as safe.

Until the deadline there is time for two renewals and more: the first begins 8 s after the one before and is given half of what
is left, 5 s; the next one, begun 0.2 s after that, again half, 2.4 s; and so on.
"""
_PAGE = 50
_MAX_PAGES = 20
_ASK_ATTEMPTS = 3
"""How often a request is tried when its precondition fails. The owner renews each 8 s, so a second failure in a row is rare."""
_NO_LEASE = "-clock-"
"""The id of a lease that does not exist. A read of it returns Firestore's time."""

MayClaim = Callable[[Lease], bool]


class LeaseChanged(Exception):
    """The lease was written since it was last read: a command, `wanted`, or another owner."""


class NotClaimable(Exception):
    """No claim can succeed before somebody mends the documents. Holds our own words, which quote nothing."""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A term that has begun, with the lease as it stood before, and the account's document."""

    held: "HeldLease"
    before: Lease
    """What somebody asked for while the claim was made is in it, too."""
    account: AccountDocument
    hearing: object
    """What the owner before stored of what the account usually hears."""
    last_synced_at: object

    @property
    def must_be_heeded(self) -> bool:
        """Whether the lease asks for more than an open session."""
        return self.before.command is not None or not self.before.wanted


@dataclass(kw_only=True)
class HeldLease:
    """A lease of one's own. Every write of it goes with a precondition on its last update time."""

    db: AsyncClient
    term: Term
    ttl_s: float
    call_s: float
    update_time: UpdateTime
    _unanswered: set[datetime] = field(default_factory=set, init=False)
    """updatedAt of writes of which it is not known whether they stand."""

    def stands_as_written(self, lease: Lease) -> bool:
        """Whether the lease is as a write of one's own left it whose answer was lost: then nobody has asked for anything."""
        return lease.updated_at in self._unanswered

    async def read(self) -> Lease:
        """Raises TermLost when the lease is another's."""
        snapshot = await self._document().get(retry=None, timeout=self._time_left_s())
        lease = parse_lease(snapshot.to_dict() or {})
        if not lease.is_held_by(self.term.worker, self.term.epoch) or snapshot.update_time is None:
            raise TermLost("another worker owns the account")
        self.update_time = snapshot.update_time
        return lease

    async def renew(self, *, clears_command: bool = False, more: Mapping[str, object] | None = None) -> None:
        """Extends the term by the TTL. Raises LeaseChanged, after which the lease must be read. `more` is written with it."""
        began = now_s()
        await self._write(renewal_fields(datetime.now(UTC), self.ttl_s) | _more(more, clears_command))
        self.term.extend(_deadline(began, self.ttl_s))

    async def release(self, *, clears_command: bool = False, more: Mapping[str, object] | None = None) -> None:
        """Gives the account back and ends the term; raises LeaseChanged like renew."""
        await self._write(release_fields(datetime.now(UTC)) | _more(more, clears_command))
        self.term.end()

    async def _write(self, fields: dict[str, Any]) -> None:
        batch = self.db.batch()
        if self.term.store_mark:  # where the engine keeps none, what stands goes on
            fields = fields | {"storeMark": self.term.store_mark}
        batch.update(self._document(), fields, option=self.db.write_option(last_update_time=self.update_time))
        try:
            self.update_time = await self._commit(batch)
        except PRECONDITION_FAILED as error:
            raise LeaseChanged from error
        except UNAVAILABLE:
            self._unanswered.add(fields["updatedAt"])
            raise
        self._unanswered.clear()

    async def _commit(self, batch: AsyncWriteBatch) -> UpdateTime:
        return (await commit(batch, self._time_left_s()))[0]

    def _document(self) -> Any:
        return self.db.collection(schema.LEASES).document(self.term.account)

    def _time_left_s(self) -> float:
        """Half: then there is always time for another call before the deadline."""
        self.term.check()
        return min(self.call_s, self.term.seconds_left() / 2)


@dataclass(frozen=True, kw_only=True)
class Leases:
    db: AsyncClient
    worker: WorkerId
    endpoint: str
    ttl_s: float
    call_s: float

    async def find_free(
        self, known_bad: Collection[AccountId], may_claim: MayClaim = lambda _lease: True
    ) -> list[AccountId]:
        """Accounts that nobody owns and whose lease `may_claim` accepts. An id that is none of ours is left alone.

        What cannot be claimed stays at the front of the query, and so counts for no page: those behind it get their turn.
        """
        query = free_leases(self.db, datetime.now(UTC), _PAGE)
        found: list[AccountId] = []
        for _ in range(_MAX_PAGES):
            page = await query.get(retry=None, timeout=self.call_s)
            found += _account_ids(snapshot.id for snapshot in page if may_claim(parse_lease(snapshot.to_dict() or {})))
            if len(page) < _PAGE or sum(account not in known_bad for account in found) >= _PAGE:
                break
            query = query.start_after(page[-1])
        return found

    async def claim(self, account: AccountId, may_claim: MayClaim = lambda _lease: True) -> Claimed | None:
        """Begins a term, or returns None when the lease is not free or another was faster. Raises NotClaimable.

        `may_claim` is asked right before the commit, with the lease as it was read; where it says no, nothing is written.
        Lease and account are written together, so the account's update time moves with each change of owner;
        lastSeenAt is written too, so that it moves even when the worker's name is the same.
        """
        found = await self._claimable(account)
        if found is None:
            return None
        before = parse_lease(found.lease)
        if not may_claim(before):
            return None
        began, now = now_s(), datetime.now(UTC)
        fields = claim_fields(before, self.worker, self.endpoint, now, self.ttl_s)
        try:
            standing = await self._commit(account, found, fields)
        except PRECONDITION_FAILED:
            return None
        except UNAVAILABLE:
            applied = await self._found_applied(account, fields)
            if applied is None:
                raise
            standing = applied
        term = Term(
            account=account,
            worker=self.worker,
            epoch=before.next_epoch(),
            deadline_s=_deadline(began, self.ttl_s),
            store_mark=before.store_mark,
        )
        return self._claimed(term, before, standing)

    async def firestore_time(self) -> datetime:
        """The time by Firestore's clock, which is the same for all workers."""
        found = await self.db.collection(schema.LEASES).document(_NO_LEASE).get(retry=None, timeout=self.call_s)
        if not isinstance(found.read_time, datetime):
            raise ServiceUnavailable("Firestore answered without its time")
        return found.read_time

    async def find_of_others_here(self) -> list[AccountId]:
        """Accounts that another instance at this worker's address owns, by their current leases."""
        now = datetime.now(UTC)
        found = await leases_at_endpoint(self.db, self.endpoint).get(retry=None, timeout=self.call_s)
        leases = ((snapshot.id, parse_lease(snapshot.to_dict() or {})) for snapshot in found)
        return list(_account_ids(name for name, lease in leases if lease.is_held(now) and lease.owner != self.worker))

    async def find_asked_for(self, successor: WorkerId) -> list[AccountId]:
        """This worker's accounts that the successor has asked for."""
        found = await leases_to_hand_over(self.db, self.worker, successor).get(retry=None, timeout=self.call_s)
        return list(_account_ids(snapshot.id for snapshot in found))

    async def ask_for(self, account: AccountId, request: HandOverRequest) -> bool:
        """Asks the owner at this address to hand the account over, once a lease term. Returns whether the account was asked for now.

        False if no other instance at this address owns the account, or if the owner's version does not support requests. A request neither extends nor shortens the term.
        """
        for _ in range(_ASK_ATTEMPTS):
            found = await self._lease(account).get(retry=None, timeout=self.call_s)
            lease = parse_lease(found.to_dict() or {})
            is_asked = lease.hand_over_to == request  # until the next claim, which clears it
            if is_asked or not self._is_of_another_here(lease) or found.update_time is None:
                return False
            batch = self.db.batch()
            known = self.db.write_option(last_update_time=found.update_time)
            batch.update(self._lease(account), {"handOverTo": request.document()}, option=known)
            try:
                await commit(batch, self.call_s)
            except PRECONDITION_FAILED:
                continue  # the owner has renewed it meanwhile
            return True
        return False

    def _is_of_another_here(self, lease: Lease) -> bool:
        is_here = lease.endpoint == self.endpoint and lease.owner != self.worker and lease.owner_heeds_requests
        return is_here and lease.is_held(datetime.now(UTC))

    async def _claimable(self, account: AccountId) -> "_Documents | None":
        """None when the lease is not free. Raises NotClaimable."""
        lease = await self._lease(account).get(retry=None, timeout=self.call_s)
        before = parse_lease(lease.to_dict() or {})
        if before.wanted and not before.has_next_epoch():
            raise NotClaimable("the lease's epoch is none, or the last")
        if not before.is_claimable(datetime.now(UTC)):
            return None
        document = await self._account(account).get(retry=None, timeout=self.call_s)
        if not document.exists:
            raise NotClaimable("the lease has no account document")
        return _documents(lease, document)

    async def _commit(self, account: AccountId, found: "_Documents", fields: dict[str, Any]) -> "_Documents":
        batch = self.db.batch()
        batch.update(self._lease(account), fields, option=self.db.write_option(last_update_time=found.lease_time))
        batch.update(
            self._account(account),
            {"assignedWorkerId": self.worker, "lastSeenAt": fields["updatedAt"]},
            option=self.db.write_option(last_update_time=found.account_time),
        )
        lease_time, account_time = await commit(batch, self.call_s)
        return replace(found, lease_time=lease_time, account_time=account_time)

    async def _found_applied(self, account: AccountId, fields: Mapping[str, Any]) -> "_Documents | None":
        """The claim whose answer was lost, where it stands: nobody else would take the account before its lease has run out.

        The account is read first and the lease second, as in AccountDocument. leaseUntil tells the claim from that of a
        former process of this worker's name.
        """
        document = await self._account(account).get(retry=None, timeout=self.call_s)
        lease = await self._lease(account).get(retry=None, timeout=self.call_s)
        standing = parse_lease(lease.to_dict() or {})
        is_ours = standing.is_held_by(self.worker, fields["epoch"]) and standing.lease_until == fields["leaseUntil"]
        return _documents(lease, document) if is_ours and document.exists else None

    def _claimed(self, term: Term, before: Lease, standing: "_Documents") -> Claimed:
        lease, phone = parse_lease(standing.lease), standing.account.get("phoneE164")
        return Claimed(
            held=HeldLease(
                db=self.db, term=term, ttl_s=self.ttl_s, call_s=self.call_s, update_time=standing.lease_time
            ),
            before=replace(before, command=lease.command, wanted=lease.wanted),
            hearing=standing.lease.get("hearing"),
            last_synced_at=standing.account.get("lastSyncedAt"),
            account=AccountDocument(
                db=self.db,
                term=term,
                call_s=self.call_s,
                update_time=standing.account_time,
                phone_e164=phone if isinstance(phone, str) else None,
                pacing=parse_record(standing.account),
                phone=parse_phone(standing.account),
                degradation=parse_degradation(standing.account),
            ),
        )

    def _lease(self, account: AccountId) -> Any:
        return self.db.collection(schema.LEASES).document(account)

    def _account(self, account: AccountId) -> Any:
        return self.db.collection(schema.ACCOUNTS).document(account)


@dataclass(frozen=True, kw_only=True)
class _Documents:
    """An account's lease and document as they were read, with the update times that they have by now."""

    lease: Mapping[str, Any]
    lease_time: UpdateTime
    account: Mapping[str, Any]
    account_time: UpdateTime


def _documents(lease: Any, account: Any) -> _Documents:
    return _Documents(
        lease=lease.to_dict() or {},
        lease_time=lease.update_time,
        account=account.to_dict() or {},
        account_time=account.update_time,
    )


def _more(more: Mapping[str, object] | None, clears_command: bool) -> dict[str, object]:
    return {**(more or {}), **({"command": None} if clears_command else {})}


def _account_ids(document_ids: Iterable[str]) -> Iterator[AccountId]:
    for document_id in document_ids:
        with suppress(InvalidId):
            yield account_id(document_id)


def _deadline(began_s: float, ttl_s: float) -> float:
    return began_s + ttl_s * (1 - _FENCE_MARGIN)
