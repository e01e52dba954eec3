"""How far a message of ours has come, and that it only moves forward."""

from enum import StrEnum


class Delivery(StrEnum):
    QUEUED = "queued"
    FAILED = "failed"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"


_RANK = {state: rank for rank, state in enumerate(Delivery)}


def is_forward(old: Delivery, new: Delivery) -> bool:
    """Whether `new` says more than `old`. Failed is final unless a receipt proves otherwise, so it stands before sent."""
    return _RANK[new] > _RANK[old]


def proves_sent(state: Delivery) -> bool:
    """Whether WhatsApp has taken the message: it stands as sent, delivered or read."""
    return _RANK[state] >= _RANK[Delivery.SENT]


def parse(value: object) -> Delivery | None:
    """The state, or None for anything that is not one."""
    return Delivery(value) if isinstance(value, str) and value in Delivery.__members__.values() else None
