"""Accounts that are paired while what pairs them is killed: each must end paired, or clearly not, and then be pairable."""

from dataclasses import dataclass, field

from core.ids import AccountId
from local.faults.cast import Account
from local.faults.stage import Stage

_LIMIT_S = 90.0


@dataclass(kw_only=True)
class Pairings:
    seed: int
    stage: Stage
    unpaired: list[AccountId] = field(default_factory=list, init=False)
    """Those that could not be paired in the end."""

    def named(self, number: int) -> Account:
        mark = f"{self.seed % 1000:03d}{number:04d}"
        return Account(account_id=AccountId(f"s{self.seed}-extra-{number}"), phone=f"+4060{mark}")

    def begin(self, number: int) -> Account:
        account = self.named(number)
        self.stage.ask_for_pairing(account)
        return account

    def enter_code(self, account: Account) -> bool:
        return self.stage.enter_code(account)

    def finish(self, account: Account) -> None:
        """Somebody wants it paired. Then the account rests."""
        if self.stage.pair(account, _LIMIT_S):
            self.stage.change_lease(account, {"wanted": False})
        else:
            self.unpaired.append(account.account_id)
