"""Which accounts of an older instance a newer one asks for, and when."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from connector.leases import Leases
from connector.succession import Succession
from connector.takeover import TakeOver
from core.hand_over import HandOverRequest
from core.ids import AccountId, WorkerId
from core.timing import Timing
from tests.waiting import PATIENCE_S

FIRST, SECOND = AccountId("shop-1"), AccountId("shop-2")
NONE: Any = None
"""A database that nobody asks."""


@dataclass(frozen=True, kw_only=True)
class OlderInstance(Leases):
    """Its accounts, and for which of them it was asked."""

    asked: list[AccountId] = field(default_factory=list)

    async def firestore_time(self) -> datetime:
        return datetime.now(UTC)

    async def find_of_others_here(self) -> list[AccountId]:
        return [each for each in (FIRST, SECOND) if each not in self.asked]

    async def ask_for(self, account: AccountId, request: HandOverRequest) -> bool:
        del request
        self.asked.append(account)
        return True


async def test_an_account_waits_for_room_that_one_on_its_way_seems_to_take() -> None:
    """While an account is being claimed it counts twice, so the last accounts of a full instance find no room for a moment."""
    timing = replace(Timing(), claim_pace_s=0.001)
    older = OlderInstance(db=NONE, worker=WorkerId("newer"), endpoint="http://shard", ttl_s=24, call_s=8)
    succession = Succession(worker=WorkerId("newer"), timing=timing)
    refused = asyncio.Event()

    def has_room() -> bool:
        if succession.expected() == 0:
            return True
        refused.set()
        return False

    take_over = TakeOver(leases=older, succession=succession, timing=timing, has_room=has_room)
    take_over.called(FIRST)
    running = asyncio.create_task(take_over.run())
    async with asyncio.timeout(PATIENCE_S):
        await refused.wait()
        succession.claimed(FIRST)
        while older.asked != [FIRST, SECOND]:
            assert not running.done()
            await asyncio.sleep(0.001)
    running.cancel()
