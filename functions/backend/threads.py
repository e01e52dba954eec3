"""Finds the thread of a chat whose contact may have two names, a number and a LID, and notes when two threads turn out to be one person's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from google.cloud.firestore import DELETE_FIELD

from backend import queries
from backend.preferences import Preferences
from backend.stores import Commit, Document, Stored, Stores, names_of
from backend.unread import counted
from core import inbound, merge, schema, thread
from core.ids import (
    AccountId,
    ChatId,
    ThreadId,
    WaMessageId,
    chat_of_phone,
    is_direct,
    is_number,
    parse_thread_id,
    thread_id,
    wa_message_id,
)
from core.inbound import Event, MessageReceived, ReceiptReceived, Row
from core.message import StoredMessage
from core.moment import Moment
from core.thread import Thread

_SAME_NUMBER = 10
"""More threads of one number than this are not looked through: a number passes from one person to another once in years."""

Messages = Mapping[WaMessageId, Stored[StoredMessage]]


@dataclass(frozen=True, kw_only=True)
class Found:
    """A chat's thread. `id` is its id, whether it exists or not. `old` is another thread of the same person, that is not merged yet."""

    id: ThreadId
    current: Stored[Thread] | None
    phone: str | None
    old: Stored[Document] | None = None

    @property
    def chat(self) -> ChatId:
        return parse_thread_id(self.id)[1]

    @property
    def names(self) -> tuple[ThreadId, ...]:
        """The ids under which messages of the thread stand."""
        known = names_of(self.current) if self.current is not None else (self.id,)
        return known if self.old is None else (*known, ThreadId(self.old.id))

    @property
    def thread(self) -> Thread | None:
        """The thread as the events of a commit find it: with what an old thread knows."""
        known = self.current.value if self.current is not None else None
        if self.old is not None:
            known = merge.joined(known or Thread(), thread.parse(self.old.value), ThreadId(self.old.id))
        return known


@dataclass(frozen=True, kw_only=True)
class Threads:
    stores: Stores

    def find(self, account: AccountId, chat: ChatId, phone: str | None) -> Found:
        """One read where the thread exists and its number is known. A chat that is new, or whose number is, costs one more; so does a
        chat that is still named by its number, since another process may have opened its thread under the LID at the same moment."""
        return self.found(account, chat, phone, self.stores.thread(thread_id(account, chat)))

    def found(self, account: AccountId, chat: ChatId, phone: str | None, current: Stored[Thread] | None) -> Found:
        """As `find`, of a thread that was read."""
        own = thread_id(account, chat)
        name = ThreadId(current.id) if current is not None else own
        if phone is None or not is_direct(chat):
            return Found(id=name, current=current, phone=None)
        if name != own:  # followed: the event came under a former name, whose number may not be the present one
            return Found(id=name, current=current, phone=None)
        if is_number(chat):
            return self._found_under_number(account, phone, own, current)
        if current is not None and current.value.phone == phone:
            return Found(id=own, current=current, phone=phone)
        old = self.stores.thread_document(thread_id(account, chat_of_phone(phone)))
        if old is not None and old.value.get("mergedInto") is not None:
            old = None
        return Found(id=own, current=current, phone=phone, old=old)

    def _found_under_number(
        self, account: AccountId, phone: str, own: ThreadId, current: Stored[Thread] | None
    ) -> Found:
        by_lid = self.of_phone(account, phone)
        if by_lid is None:
            return Found(id=own, current=current, phone=phone)
        old = self.stores.thread_document(own) if current is not None else None
        return Found(id=ThreadId(by_lid.id), current=by_lid, phone=phone, old=old)

    def of_phone(self, account: AccountId, phone: str) -> Stored[Thread] | None:
        """The thread under the LID whose contact has this number: of several, the one that was used last."""
        found = self.stores.find(queries.threads_of_phone(self.stores.db, account, phone, _SAME_NUMBER))
        by_lid = [each for each in found if not is_number(parse_thread_id(each.id)[1])]
        newest = max(by_lid, key=lambda each: each.update_time, default=None)
        if newest is None:
            return None
        return Stored(id=newest.id, value=thread.parse(newest.value), update_time=newest.update_time)

    def placed(self, rows: Sequence[Row], found: Found) -> tuple[list[Row], Messages]:
        """The rows, and the messages that exist already. Each row names the chat under which its message exists, or else the thread's chat.

        For a thread that has, or had, one name alone: the rows as they are, and nothing is read.
        """
        if len(found.names) == 1 and all(_thread_of(row) in (found.id, None) for row in rows):
            return list(rows), {}
        wanted = [row for row in rows if isinstance(row, MessageReceived | ReceiptReceived)]
        messages = self._messages(candidate for row in wanted for candidate in _candidates(row, found))
        return [_in_its_chat(row, found, messages) for row in rows], messages

    def _messages(self, message_ids: Iterable[WaMessageId]) -> Messages:
        _, messages = self.stores.thread_and_messages(None, dict.fromkeys(message_ids))
        return messages

    def add(
        self, commit: Commit, found: Found, after: Thread, created: Sequence[Moment], at: datetime, *, is_moved: bool
    ) -> None:
        """Adds the thread to the commit of its events, and the merge, where it is one. `created`: when the contact's messages among the
        new ones were written. `is_moved`: the thread is written even where no field of it changes, so that a concurrent commit fails."""
        account, chat = parse_thread_id(found.id)
        final = counted(self.stores, found.names, thread.known_by(after, found.phone), created)
        rights = self._merged(commit, found, at)
        if found.current is None:
            document = thread.new_document(account, chat, final, at)
            if found.old is not None:
                document = {**merge.opened(account, chat, found.old.value), **thread.fields(final)}
                document |= {**rights, "updatedAt": at}
            commit.create(schema.THREADS, found.id, document)
            return
        changed = {**thread.changed_fields(found.current.value, final), **rights}
        if changed or is_moved:
            commit.update(schema.THREADS, found.id, {**changed, "updatedAt": at}, at=found.current.update_time)

    def _merged(self, commit: Commit, found: Found, at: datetime) -> dict[str, object]:
        """The owner and writers of the joined thread; nothing where no thread is merged."""
        if found.old is None:
            return {}
        former = ThreadId(found.old.id)
        commit.update(schema.THREADS, former, _absorbed(found.id, at), at=found.old.update_time)
        Preferences(stores=self.stores).add_move(commit, former, found.id)
        if found.current is None:
            return {}
        current = self.stores.thread_document(found.id)
        return merge.joined_rights(current.value if current is not None else {}, found.old.value)


def phone_of_rows(rows: Iterable[Row]) -> str | None:
    """The contact's number as the newest of the rows that names it says."""
    phones = [row.phone for row in rows if isinstance(row, Event) and row.phone is not None]
    return phones[-1] if phones else None


def _absorbed(into: ThreadId, at: datetime) -> dict[str, object]:
    return {**merge.absorbed_fields(into, at), **dict.fromkeys(merge.REMOVED_FIELDS, DELETE_FIELD)}


def _thread_of(row: Row) -> ThreadId | None:
    return thread_id(row.account_id, row.chat_id) if isinstance(row, Event) else None


def _candidates(row: MessageReceived | ReceiptReceived, found: Found) -> list[WaMessageId]:
    key = row.key if isinstance(row, MessageReceived) else row.target
    return [wa_message_id(name, key) for name in found.names]


def _in_its_chat(row: Row, found: Found, messages: Messages) -> Row:
    if isinstance(row, MessageReceived | ReceiptReceived):
        stands = next((each for each in _candidates(row, found) if each in messages), None)
        names = dict(zip(_candidates(row, found), found.names, strict=True))
        chat = found.chat if stands is None else parse_thread_id(names[stands])[1]
        return replace(row, chat_id=chat)
    return replace(row, chat_id=found.chat) if isinstance(row, inbound.ReadOnPhone) else row
