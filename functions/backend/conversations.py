"""Begins a conversation with a number that has not written yet."""

from dataclasses import dataclass

from backend.clock import now
from backend.contention import until_committed
from backend.lookups import Lookups, Question
from backend.refusal import Refused
from backend.stores import Stores
from backend.threads import Threads
from core.access import Person
from core.errors import ErrorCode
from core.ids import AccountId, ChatId, ThreadId, chat_of_phone, thread_id
from core.thread import Thread


@dataclass(frozen=True, kw_only=True)
class Conversations:
    stores: Stores
    threads: Threads
    lookups: Lookups

    def start(self, account: AccountId, phone_e164: str, *, by: Person) -> ThreadId:
        """The thread of a number. It is created unless it exists; where it exists, nothing is looked up. Until a message comes, its
        creation is its last activity, so that it is at the top of the list. Raises Refused."""
        lease = self.stores.lease(account)
        if lease is None:
            raise Refused(ErrorCode.ACCOUNT_UNKNOWN, "there is no account of this id")
        known = self.threads.of_phone(account, phone_e164) or self.stores.thread(
            thread_id(account, chat_of_phone(phone_e164))
        )
        if known is not None:
            return ThreadId(known.id)
        chat = self.lookups.chat_of(lease.value, Question(account=account, phone_e164=phone_e164, by=by))
        if chat is None:
            raise Refused(ErrorCode.NOT_ON_WHATSAPP, "this number has no WhatsApp account")
        until_committed(lambda _: self._create(account, chat, phone_e164), "the conversation could not be created")
        return thread_id(account, chat)

    def _create(self, account: AccountId, chat: ChatId, phone_e164: str) -> None:
        """The number is noted where the thread exists without it: its contact was known by the LID alone. Raises Conflict."""
        found, at, commit = self.threads.find(account, chat, phone_e164), now(), self.stores.commit()
        begun = found.thread or Thread(started_at=at)
        self.threads.add(commit, found, begun, [], at, is_moved=False)
        if commit.is_empty:
            return  # the conversation has begun already
        commit.run()
