"""The owner's writes to an account's document and its private state, which a former owner's can never follow."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.cloud.firestore import AsyncClient

from connector import log
from connector.backoff import Backoff
from connector.store import PRECONDITION_FAILED, UNAVAILABLE, UpdateTime, commit
from connector.term import Term, TermLost
from core import schema
from core.account import parse_lease
from core.degradation import Degradation
from core.pacing import PacingRecord, parse_limits
from core.phone_sight import PhoneRecord

_RETRY_FIRST_S = 0.1
_RETRY_MAX_S = 2.0


@dataclass(kw_only=True)
class AccountDocument:
    """whatsapp_accounts/{accountId} and private/state, as this term knows them.

    Each write goes with a precondition on the account's update time, which a new owner's claim moves.
    """

    db: AsyncClient
    term: Term
    call_s: float
    update_time: UpdateTime
    phone_e164: str | None
    """The number that the account is known to have: another is refused."""
    degradation: Degradation = field(default_factory=Degradation)
    """As the owner before left it. Whoever begins or ends a cause writes the fields that it answers."""
    pacing: PacingRecord = field(default_factory=PacingRecord)
    """As the owner before left it."""
    phone: PhoneRecord = field(default_factory=PhoneRecord)
    """As the owner before left it."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def write(self, fields: Mapping[str, Any], *, private: Mapping[str, Any] | None = None) -> None:
        """Writes when Firestore lets it, for as long as the term lasts. Raises TermLost."""
        async with self._turn:
            backoff = Backoff(first_s=_RETRY_FIRST_S, max_s=_RETRY_MAX_S)
            while True:
                try:
                    await self._write_once(fields, private)
                    return
                except UNAVAILABLE as error:
                    log.account_not_written(self.term.account, error)
                    await asyncio.sleep(backoff.next_delay_s())

    async def _write_once(self, fields: Mapping[str, Any], private: Mapping[str, Any] | None) -> None:
        document = self.db.collection(schema.ACCOUNTS).document(self.term.account)
        batch = self.db.batch()
        known = self.db.write_option(last_update_time=self.update_time)
        batch.update(document, {"assignedWorkerId": self.term.worker, **fields}, option=known)
        if private is not None:
            batch.set(document.collection(schema.PRIVATE).document(schema.PRIVATE_STATE), dict(private), merge=True)
        try:
            self.update_time = (await commit(batch, self._time_left_s()))[0]
        except PRECONDITION_FAILED:
            await self._look_again()
            raise
        if "phoneE164" in fields:
            self.phone_e164 = fields["phoneE164"]

    async def _look_again(self) -> None:
        """Somebody wrote the account: a callable, our own lost answer, or a new owner.

        The account is read first and the lease second: if the lease is ours then, a claim that comes later moves the
        account's update time away from the one that was read.
        """
        document = self.db.collection(schema.ACCOUNTS).document(self.term.account)
        account = await document.get(retry=None, timeout=self._time_left_s())
        if not account.exists or account.update_time is None:
            raise TermLost("the account's document is gone")
        await self.confirm_term()
        self.update_time = account.update_time
        self.pacing.limits = parse_limits(account.to_dict() or {})  # it may have been these that somebody wrote

    async def confirm_term(self) -> None:
        """Reads the lease. Raises TermLost when it is another's by now."""
        lease = (
            await self.db.collection(schema.LEASES)
            .document(self.term.account)
            .get(retry=None, timeout=self._time_left_s())
        )
        if not parse_lease(lease.to_dict() or {}).is_held_by(self.term.worker, self.term.epoch):
            raise TermLost("another worker owns the account")

    def _time_left_s(self) -> float:
        """Nothing may be under way when the term ends."""
        self.term.check()
        return min(self.call_s, self.term.seconds_left())
