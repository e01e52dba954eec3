"""Values that no well-behaved program sends."""

import random
from dataclasses import dataclass

from tests.whatsapp.jid import Jid

_SERVERS = (
    *("s.whatsapp.net", "lid", "g.us", "broadcast", "newsletter", "bot", "hosted", "hosted.lid"),
    *("c.us", "msgr", "interop", "call", "nowhere"),
)
_WITH_DEVICES = ("s.whatsapp.net", "lid", "hosted", "hosted.lid")
_WORDS = (
    *("", "\0", "EF\0GH", "\udcff\udc80", "%", "_", "' OR 1=1 --", "\\", "null", "true", "-1", "0", "1", "2", "3"),
    *(
        "99999999999999999999",
        "1.5",
        "hide",
        "peer",
        "pn",
        "lid",
        "retry",
        "🦊" * 9,
        "\u202egnp",
        "a" * 300,
        "{}",
        "[1",
    ),
)
_LONG = 12_000


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A source of values: the same seed gives the same ones."""

    rng: random.Random
    known: tuple[Jid, ...]
    """Addresses that mean somebody."""

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def text(self) -> str:
        if self.chance(0.03):
            return self.rng.randbytes(_LONG // 2).hex()
        if self.chance(0.3):
            return "".join(
                chr(self.rng.choice((self.rng.randrange(128), self.rng.randrange(0xA0, 0x2FFF)))) for _ in range(8)
            )
        return self.rng.choice(_WORDS)

    def integer(self) -> int:
        return self.rng.choice((0, 1, 2, 255, 2**31 - 1, 2**31, 2**63 - 1, self.rng.getrandbits(32)))

    def data(self) -> bytes:
        return self.rng.randbytes(self.rng.choice((0, 1, 2, 16, 31, 32, 33, 64, 300)))

    def jid(self) -> Jid:
        if self.chance(0.5):
            return self.rng.choice(self.known)
        server = self.rng.choice(_SERVERS)
        user = self.rng.choice((self.text(), str(self.rng.getrandbits(40)), "0", "status"))
        device = self.rng.choice((0, 0, 1, 99)) if server in _WITH_DEVICES and user else 0
        return Jid(user, server, device)

    def mutated(self, wire: bytes) -> bytes:
        """The bytes with one to three faults."""
        mutated = bytearray(wire)
        for _ in range(self.rng.randint(1, 3)):
            place = self.rng.randrange(len(mutated) + 1)
            match self.rng.randrange(5):
                case 0:
                    mutated[place : place + 1] = self.rng.randbytes(1)
                case 1:
                    del mutated[place:]
                case 2:
                    mutated[place:place] = self.data()
                case 3:
                    del mutated[place : place + self.rng.randrange(1, 9)]
                case _:
                    mutated += mutated[place:]
        return bytes(mutated)
