"""Who takes part in a drill: accounts of its own, and a contact."""

from collections.abc import Sequence
from dataclasses import dataclass

from core import ids
from core.ids import AccountId
from local.faults.cast import Account, Chat


@dataclass(frozen=True, kw_only=True)
class People:
    accounts: Sequence[Account]
    contact: str

    @property
    def chat(self) -> Chat:
        return chat_of(self.accounts[0], self.contact)


def people_of(name: str, place: int, accounts: int) -> People:
    """Names follow from the drill's, numbers from its place in the list."""
    ids_of = [name.replace("_", "-")] + [f"{name.replace('_', '-')}-{number}" for number in range(2, accounts + 1)]
    made = [
        Account(account_id=AccountId(each), phone=f"+4072{place:03d}{number:04d}") for number, each in enumerate(ids_of)
    ]
    return People(accounts=made, contact=f"+4073{place:03d}0000")


def chat_of(account: Account, contact: str) -> Chat:
    return Chat(index=0, account=account, contact=contact, reads=False, requests=0, inbound=0)


def another_number(people: People) -> str:
    """A phone that is not the account's."""
    return f"+4074{people.accounts[0].phone[5:]}"


def whatsapp_id(name: str, place: int) -> str:
    return f"3A{ids.short_hash(f'{name}|{place}').upper()[:18]}"
