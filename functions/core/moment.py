"""When a message was written: its own time, and the time at which the connector received it."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, kw_only=True)
class Moment:
    """`at` is WhatsApp's time of a message, or a request's createdAt. `received_at` is when the connector received the message; for a
    request, it is createdAt again."""

    at: datetime
    received_at: datetime

    @property
    def second(self) -> datetime:
        """The whole second of `at`."""
        return datetime.fromtimestamp(int(self.at.timestamp()), UTC)

    def is_after(self, other: "Moment | None") -> bool:
        """WhatsApp's times are whole seconds, so the order of arrival decides within one second. Anything is after None."""
        return other is None or (self.second, self.received_at) > (other.second, other.received_at)


def moment(at: object, received_at: object) -> Moment | None:
    """From two fields of a document. None if `at` is no time. If `received_at` is missing, `at` takes its place."""
    if not isinstance(at, datetime):
        return None
    return Moment(at=at, received_at=received_at if isinstance(received_at, datetime) else at)
