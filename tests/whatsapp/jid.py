"""Addresses of WhatsApp: one person goes by a phone number and by a LID, each of their devices by a number behind it."""

from dataclasses import dataclass
from typing import Final

from local.network.contacts import lid_of

NUMBER_SERVER: Final = "s.whatsapp.net"
LID_SERVER: Final = "lid"


@dataclass(frozen=True, slots=True)
class Jid:
    user: str
    server: str = NUMBER_SERVER
    device: int = 0
    """0 is the phone; linked devices count from 1."""

    @property
    def person(self) -> "Jid":
        """The same address without its device."""
        return Jid(self.user, self.server) if self.device else self

    def with_device(self, device: int) -> "Jid":
        return Jid(self.user, self.server, device)

    @classmethod
    def parse(cls, text: str) -> "Jid":
        user, _, server = text.rpartition("@")
        user, _, device = user.partition(":")
        return cls(user, server, int(device or 0))

    def __str__(self) -> str:
        if not self.user:
            return self.server
        return f"{self.user}:{self.device}@{self.server}" if self.device else f"{self.user}@{self.server}"


SERVER: Final = Jid("")
"""The server itself."""


def number_jid(phone_e164: str) -> Jid:
    return Jid(phone_e164.removeprefix("+"))


def invented_lid(phone_e164: str) -> Jid:
    """A LID for a number of a test, the same as the simulated network's: never the number itself, always the same."""
    return Jid(lid_of(phone_e164).partition("@")[0], LID_SERVER)
