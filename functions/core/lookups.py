"""How often numbers may be looked up at WhatsApp: the limits of an account and of a person, and how much of them is used.

WhatsApp bans numbers that look up many other numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.ids import AccountId, ChatId, InvalidId, chat_id

RETENTION_DAYS = 90
"""How long the record of a look-up is kept."""
ANSWER_LIMIT_S = 15.0
"""A look-up that has no answer after this time has failed, and the number may be looked up again. The call itself ends after 10 s."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """A limit: `at_once` look-ups in a row, then one each `interval`."""

    at_once: int
    interval: timedelta

    def spend(self, spent_until: datetime | None, now: datetime) -> datetime:
        """Counts one look-up. Returns the new `spentUntil`, which each look-up moves on by one interval. Raises NothingLeft."""
        after = max(spent_until or now, now) + self.interval
        wait = after - now - self.at_once * self.interval
        if wait > timedelta(0):
            raise NothingLeft(wait)
        return after


ACCOUNT_SHARE = Share(at_once=20, interval=timedelta(minutes=6))
PERSON_SHARE = Share(at_once=10, interval=timedelta(minutes=12))


class NothingLeft(Exception):
    """`wait` is how long until the next look-up."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"nothing is left for {wait}")
        self.wait = wait


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """One number's look-up on one day."""

    asked_at: datetime | None
    """None: the last look-up failed, and the next one may begin at once."""
    is_answered: bool
    chat: ChatId | None
    """None if the number is not on WhatsApp."""

    def is_under_way(self, now: datetime) -> bool:
        if self.is_answered or self.asked_at is None:
            return False
        return now - self.asked_at < timedelta(seconds=ANSWER_LIMIT_S)


def parse(document: Mapping[str, object]) -> Lookup:
    asked_at, answered_at = document.get("askedAt"), document.get("answeredAt")
    try:
        chat = chat_id(document.get("chatId"))
    except InvalidId:
        chat = None
    return Lookup(
        asked_at=asked_at if isinstance(asked_at, datetime) else None,
        is_answered=isinstance(answered_at, datetime),
        chat=chat,
    )


def day_of(now: datetime) -> str:
    """The day, in UTC, for which an answer is stored."""
    return now.astimezone(UTC).date().isoformat()


def asked_fields(account: AccountId, uid: str, email: str | None, now: datetime) -> dict[str, object]:
    """The fields of a look-up that begins: who asked, through which account."""
    return {
        "accountId": account,
        "askedByUid": uid,
        "askedByEmail": email,
        "askedAt": now,
        "answeredAt": None,
        "chatId": None,
        "expireAt": now + timedelta(days=RETENTION_DAYS),
    }


def answered_fields(chat: ChatId | None, now: datetime) -> dict[str, object]:
    return {"answeredAt": now, "chatId": chat}


FAILED_FIELDS: Mapping[str, object] = {"askedAt": None}
"""The fields of a look-up that got no answer. The number may be looked up again at once; the look-up stays counted."""


def spent_until(document: Mapping[str, object]) -> datetime | None:
    at = document.get("spentUntil")
    return at if isinstance(at, datetime) else None


def spent_fields(until: datetime) -> dict[str, object]:
    """The fields of an account's or a person's document. After `until` the document is no longer needed."""
    return {"spentUntil": until, "expireAt": until + timedelta(days=1)}
