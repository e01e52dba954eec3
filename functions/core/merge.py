"""Two threads of one person, one under the number and one under the LID, become one: what each of the two documents says then.

The thread under the LID is the canonical one. Messages and requests keep their ids and their `threadId`; readers ask for both ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from core.ids import AccountId, ChatId, ThreadId, thread_id
from core.moment import Moment
from core.thread import Thread, recounted

REMOVED_FIELDS = ("lastMessageAt",)
"""What the old thread's document has no longer: lists are sorted by it, and a query leaves out documents without the field it sorts by."""


def joined(canonical: Thread, old: Thread, old_id: ThreadId) -> Thread:
    """The canonical thread with all that the old one knows.

    A reply in either thread answers what was written before it in both, so the unread messages must be counted anew
    (`unread` None) unless there can be none.
    """
    last, shown = (
        (canonical.last, canonical) if _is_later(canonical.last, old.last) or old.last is None else (old.last, old)
    )
    return recounted(
        replace(
            canonical,
            client_display_name=canonical.client_display_name or old.client_display_name,
            started_at=_latest(canonical.started_at, old.started_at) if last is None else None,
            last=last,
            last_message_id=shown.last_message_id,
            last_message_preview=shown.last_message_preview,
            contact_wrote=_later(canonical.contact_wrote, old.contact_wrote),
            replied=_later(canonical.replied, old.replied),
            read=_later(canonical.read, old.read),
            phone=canonical.phone or old.phone,
            merged_from=tuple(dict.fromkeys((*canonical.merged_from, *old.merged_from, old_id))),
        )
    )


def opened(account: AccountId, chat: ChatId, old: Mapping[str, object]) -> dict[str, object]:
    """The canonical thread's document, where there was none: the old one's fields under the new name. The moving parts of `joined` go on top."""
    names = {"threadId": thread_id(account, chat), "accountId": account, "chatId": chat, "mergedInto": None}
    return {**old, **names}


def joined_rights(canonical: Mapping[str, object], old: Mapping[str, object]) -> dict[str, object]:
    """Who owns the joined thread and may write to it.

    A lock on either thread locks both: what was closed is not opened. The owner is the locked thread's; of two locked or two open
    threads, the canonical one's where it has one. Another owner and all co-writers may go on writing.
    """
    first, second = (old, canonical) if _is_locked(old) and not _is_locked(canonical) else (canonical, old)
    if first.get("ownerUid") is None and _is_locked(first) == _is_locked(second):
        first, second = second, first
    writers = [*_co_writers(first), second.get("ownerUid"), *_co_writers(second)]
    owner = first.get("ownerUid")
    return {
        "ownerUid": owner,
        "ownerEmail": first.get("ownerEmail"),
        "coWriterUids": list(dict.fromkeys(uid for uid in writers if uid is not None and uid != owner)),
        "locked": _is_locked(first) or _is_locked(second),
        "lockedReason": first.get("lockedReason") if _is_locked(first) else second.get("lockedReason"),
        "createdAt": min(_times(canonical, old), default=None),
    }


def absorbed_fields(into: ThreadId, now: datetime) -> dict[str, object]:
    """The old thread's document from now on: what is unread is counted in the canonical one."""
    return {"mergedInto": into, "unreadCountGlobal": 0, "updatedAt": now}


def _later(one: Moment | None, other: Moment | None) -> Moment | None:
    return one if other is None or (one is not None and one.is_after(other)) else other


def _is_later(one: Moment | None, other: Moment | None) -> bool:
    return one is not None and one.is_after(other)


def _latest(*times: datetime | None) -> datetime | None:
    return max((at for at in times if at is not None), default=None)


def _is_locked(document: Mapping[str, object]) -> bool:
    return document.get("locked") is not False


def _co_writers(document: Mapping[str, object]) -> Sequence[object]:
    found = document.get("coWriterUids")
    return found if isinstance(found, list) else []


def _times(*documents: Mapping[str, object]) -> list[datetime]:
    return [at for document in documents if isinstance(at := document.get("createdAt"), datetime)]
