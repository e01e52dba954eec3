"""What goes wrong in a run, drawn by a hash: the same seed strikes the same documents, whatever the timing."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class FaultKind(StrEnum):
    """The first seven strike the delivery of an event or task, the others what the product calls."""

    TWICE = "twice"
    """Delivered a second time, some time after the first."""
    LATE = "late"
    OUT_OF_ORDER = "out_of_order"
    """Held until the next one for the same function has gone."""
    REFUSED = "refused"
    """The first try does not reach the function."""
    ANSWER_LOST = "answer_lost"
    """The function did its work, but the platform does not learn of it, and tries again."""
    NEVER = "never"
    """Not delivered at all: the sweeper must make it good."""
    KILLED = "killed"
    """The function's process group is killed while it works."""
    FIRESTORE_REFUSES = "firestore_refuses"
    """For some seconds every call ends UNAVAILABLE, a part of them after it was carried out."""
    FIRESTORE_HANGS = "firestore_hangs"
    """For some seconds no call is answered, a part of them are carried out."""
    CONNECTOR_LATE = "connector_late"
    """The answer to a send is late, because the call or the answer is held up."""
    CONNECTOR_LOST = "connector_lost"
    """The call is carried out, but the connection breaks before the answer."""
    CONNECTOR_FAILS = "connector_fails"
    """The answer is a 500, whether or not the call was carried out."""


DELIVERY_KINDS = tuple(FaultKind)[:7]


class InvalidPlan(ValueError):
    """A plan's text that cannot be understood."""


@dataclass(frozen=True, kw_only=True)
class FaultPlan:
    """Which kinds strike, and how often: a rate is the part of the occasions at which a kind strikes."""

    seed: int = 1
    rates: Mapping[FaultKind, float] = field(default_factory=dict)

    def strikes(self, kind: FaultKind, place: str, document: str, attempt: int = 0) -> bool:
        return self._draw(kind, place, document, attempt) < self.rates.get(kind, 0.0)

    def amount(self, kind: FaultKind, place: str, document: str, attempt: int = 0) -> float:
        """From 0 to 1: how long, or which half, where the kind strikes."""
        return self._draw(f"{kind} amount", place, document, attempt)

    def text(self) -> str:
        """What `parse_plan` reads."""
        return ",".join([f"seed={self.seed}", *(f"{kind}={rate}" for kind, rate in self.rates.items())])

    def _draw(self, kind: str, place: str, document: str, attempt: int) -> float:
        decided = f"{self.seed}|{kind}|{place}|{document}|{attempt}"
        return int.from_bytes(hashlib.blake2b(decided.encode("utf-8", "surrogatepass"), digest_size=7).digest()) / 2**56


NO_FAULTS = FaultPlan()


def parse_plan(text: str) -> FaultPlan:
    """Reads seed=1,late=0.2,... Raises InvalidPlan."""
    seed, rates = 1, dict[FaultKind, float]()
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        try:
            if name == "seed":
                seed = int(value)
            else:
                rates[FaultKind(name)] = float(value)
        except ValueError as error:
            raise InvalidPlan(f"{part!r} is neither seed=N nor KIND=RATE; kinds: {', '.join(FaultKind)}") from error
    return FaultPlan(seed=seed, rates=rates)
