"""Shows a pairing's codes one after the other, as they run out."""

import asyncio
from contextlib import suppress

from connector.contract.engine_pb2 import PairingEnded
from local.network.account import Account
from local.network.pairing import QR_CODES, Pairing, PasskeyStep
from local.network.sending import Settings
from local.network.world import World


class CodeDisplay:
    def __init__(self, world: World, settings: Settings) -> None:
        self._world = world
        self._settings = settings
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, account: Account, phone: str | None) -> None:
        """Begins a pairing, in place of one that is under way. Raises NotPossible when the account is paired."""
        account.start_pairing(self._world.new_pairing(phone))
        self._stop(account.account_id)
        self._tasks[account.account_id] = asyncio.create_task(self._show(account))

    def reset(self) -> None:
        for account_id in list(self._tasks):
            self._stop(account_id)

    def _stop(self, account_id: str) -> None:
        task = self._tasks.pop(account_id, None)
        if task is not None:
            task.cancel()

    async def _show(self, account: Account) -> None:
        pairing = account.pairing
        while pairing is not None and account.pairing is pairing:
            # WhatsApp keeps the connection open for as long as six codes are good.
            lifetime_s = self._settings.code_lifetime_s * (1 if pairing.phone is None else QR_CODES)
            code = pairing.next_code(self._world.now(), lifetime_s)
            if code is None:
                account.end_pairing(PairingEnded.EXPIRED, "codes_used_up")
                return
            account.show(code)
            with suppress(TimeoutError):
                await asyncio.wait_for(pairing.code_taken.wait(), lifetime_s)
            if pairing.taken_by is not None:
                await self._want_passkey(account, pairing, pairing.taken_by)
                return

    async def _want_passkey(self, account: Account, pairing: Pairing, phone: str) -> None:
        """Ends the pairing where nobody answers in time."""
        lifetime_s = self._settings.passkey_lifetime_s
        step = PasskeyStep(phone=phone, passkey=self._world.passkeys[phone], expires_at=self._world.now() + lifetime_s)
        account.want_passkey(pairing, step)
        await asyncio.sleep(lifetime_s)
        if account.pairing is pairing:
            account.passkey_expired()
