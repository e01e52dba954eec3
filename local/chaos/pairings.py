"""Accounts that are paired while what pairs them is killed: each must end paired, or clearly not, and then be pairable."""

import time
from contextlib import suppress
from dataclasses import dataclass, field

from google.cloud.firestore import Client

from core import schema
from core.account import CommandKind, Status, new_command
from core.ids import AccountId
from local.control_client import ControlRefused
from local.faults.cast import Account
from local.faults.stage import Stage

_LIMIT_S = 90.0
_ASK_AGAIN_S = 4.0
"""A person who sees no code asks for one again."""
_POLL_S = 0.1


@dataclass(kw_only=True)
class Pairings:
    seed: int
    stage: Stage
    unpaired: list[AccountId] = field(default_factory=list, init=False)
    """Those that could not be paired in the end."""

    @property
    def _db(self) -> Client:
        return self.stage.db

    def named(self, number: int) -> Account:
        mark = f"{self.seed % 1000:03d}{number:04d}"
        return Account(account_id=AccountId(f"s{self.seed}-extra-{number}"), phone=f"+4060{mark}")

    def begin(self, number: int) -> Account:
        account = self.named(number)
        self.stage.ask_for_pairing(account)
        return account

    def enter_code(self, account: Account) -> bool:
        """Whether the phone was linked. False where no code stands, or nobody shows it any more."""
        code = self.stage.pairing_code(account)
        if not code:
            return False
        with suppress(ControlRefused):
            self.stage.network.enter_code(account.phone, str(code))
            return True
        return False

    def finish(self, account: Account) -> None:
        """Does what a person does who wants the account paired: looks, asks for a code, enters it. Then lets the account rest."""
        deadline, asked_at = time.monotonic() + _LIMIT_S, time.monotonic()
        while not self.stage.is_connected(account):
            if time.monotonic() > deadline:
                self.unpaired.append(account.account_id)
                return
            if self.enter_code(account):
                asked_at = time.monotonic()
            elif self._shows_no_pairing(account) and time.monotonic() - asked_at > _ASK_AGAIN_S:
                asked_at = time.monotonic()
                self._ask_again(account)
            time.sleep(_POLL_S)
        self._db.collection(schema.LEASES).document(account.account_id).update({"wanted": False})

    def _shows_no_pairing(self, account: Account) -> bool:
        document = self._db.collection(schema.ACCOUNTS).document(account.account_id).get().to_dict() or {}
        return document.get("status") in (Status.NEEDS_QR, Status.ERROR)

    def _ask_again(self, account: Account) -> None:
        command = new_command(CommandKind.PAIR_CODE, account.phone).document()
        self._db.collection(schema.LEASES).document(account.account_id).update({"command": command})
