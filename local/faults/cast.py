"""Who takes part in a round: accounts, chats with their contacts, and what is written in each. All names follow from the seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core import ids
from core.ids import AccountId, ChatId, RequestId, ThreadId, WaMessageKey
from local.network.contacts import Addressing, lid_of

_ACCOUNTS = 4
_MESSAGES_A_CHAT = 10
_HOT_PART = 5
"""The hot chat gets a fifth of all."""
_CLIENTS = 3


@dataclass(frozen=True, kw_only=True)
class Account:
    account_id: AccountId
    phone: str


@dataclass(frozen=True, kw_only=True)
class Chat:
    """A contact's chat with an account; `index` is what findings call it. `reads`: the contact opens what it gets.

    `merges`: its thread begins under the number, and in the middle the contact's LID becomes known.
    """

    index: int
    account: Account
    contact: str
    reads: bool
    requests: int
    inbound: int
    merges: bool = False
    waits: bool = False
    """Of a chat that merges: what clients write before the merge is accepted before it, and leaves after it."""

    @property
    def requests_before_merge(self) -> int:
        """How many requests clients write before they see the joined thread."""
        return self.requests // 2

    @property
    def former_id(self) -> ChatId:
        """The chat's name before its merge."""
        return ids.chat_of_phone(self.contact)

    @property
    def former_thread_id(self) -> ThreadId:
        return ids.thread_id(self.account.account_id, self.former_id)

    @property
    def thread_ids(self) -> Sequence[ThreadId]:
        """Under which its documents may stand."""
        return (self.thread_id, self.former_thread_id) if self.merges else (self.thread_id,)

    @property
    def chat_id(self) -> ChatId:
        return ChatId(lid_of(self.contact))

    @property
    def thread_id(self) -> ThreadId:
        return ids.thread_id(self.account.account_id, self.chat_id)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a client writes: the `place`th in its chat."""

    chat: Chat
    place: int
    text: str
    client_message_id: str
    uid: str
    is_former: bool = False
    """Whether the client writes it under the chat's former name."""

    @property
    def chat_id(self) -> ChatId:
        return self.chat.former_id if self.is_former else self.chat.chat_id

    @property
    def thread_id(self) -> ThreadId:
        return ids.thread_id(self.chat.account.account_id, self.chat_id)

    @property
    def message_id(self) -> str:
        return f"{self.thread_id}_{self.key}"

    @property
    def request_id(self) -> RequestId:
        return ids.request_id(self.thread_id, self.chat_id, self.text, self.client_message_id)

    @property
    def key(self) -> WaMessageKey:
        return ids.outbound_key(self.request_id)


@dataclass(frozen=True, kw_only=True)
class Inbound:
    """What a contact writes: the `place`th in its chat."""

    chat: Chat
    place: int
    text: str
    whatsapp_id: str
    addressing: Addressing | None = None
    """Under which name the event comes; None: as the contact's events do."""

    @property
    def message_ids(self) -> Sequence[str]:
        """Of the row and of the message: each of them stands under one of these."""
        return [f"{thread}_{self.whatsapp_id}-in" for thread in self.chat.thread_ids]


@dataclass(frozen=True, kw_only=True)
class Cast:
    accounts: Sequence[Account]
    chats: Sequence[Chat]

    def requests(self, chat: Chat) -> list[Request]:
        return [request_of(chat, place) for place in range(chat.requests)]

    def inbound(self, chat: Chat) -> list[Inbound]:
        return [
            Inbound(
                chat=chat,
                place=place,
                text=f"in {chat.index}-{place}",
                whatsapp_id=f"3A{ids.short_hash(f'{chat.thread_id}|{place}').upper()[:18]}",
                addressing=_addressing(chat, place),
            )
            for place in range(chat.inbound)
        ]

    def all_requests(self) -> list[Request]:
        return [request for chat in self.chats for request in self.requests(chat)]

    def all_inbound(self) -> list[Inbound]:
        return [inbound for chat in self.chats for inbound in self.inbound(chat)]


def request_of(chat: Chat, place: int) -> Request:
    return Request(
        chat=chat,
        place=place,
        text=f"out {chat.index}-{place}",
        client_message_id=f"c{place:04d}",
        uid=f"uid-{place % _CLIENTS}",
        is_former=chat.merges and (place < chat.requests_before_merge or place % 2 == 1),
    )


def _addressing(chat: Chat, place: int) -> Addressing | None:
    """Of a chat that merges: first under the number alone, then under either name in turn."""
    if not chat.merges:
        return None
    is_known = place >= chat.inbound // 2 and place % 2 == (chat.inbound // 2) % 2
    return Addressing.LID if is_known else Addressing.NUMBER_ONLY


def is_first_under_lid(inbound: Inbound) -> bool:
    """Whether this message makes the LID known."""
    return inbound.chat.merges and inbound.place == inbound.chat.inbound // 2


def merging_cast(seed: int, number: int, messages: int) -> Cast:
    """The same where all chats merge, and in each of them both sides write. In every other chat requests wait for the merge."""
    cast = make_cast(seed, number, messages)
    each = max(4, messages // len(cast.chats))
    chats = [replace(chat, merges=True, waits=chat.index % 2 == 0, requests=each, inbound=each) for chat in cast.chats]
    return Cast(accounts=cast.accounts, chats=chats)


def make_cast(seed: int, number: int, messages: int, *, accounts: int = _ACCOUNTS) -> Cast:
    """For a seed's round: so many requests, and as many inbound messages.

    The first chat is hot. Of the others every third is only written to by its contact, every third only by clients.
    """
    mark = f"{seed % 1000:03d}{number}"
    made = [
        Account(account_id=AccountId(f"s{seed}-{number}-{i}"), phone=f"+4070{mark}{i:03d}") for i in range(accounts)
    ]
    hot = max(1, messages // _HOT_PART)
    others = max(3, (messages - hot) // _MESSAGES_A_CHAT)
    with_requests = [i for i in range(1, others + 1) if i % 3 != 1]
    with_inbound = [i for i in range(1, others + 1) if i % 3 != 2]
    requests = {0: hot} | _shared(messages - hot, with_requests)
    inbound = {0: hot} | _shared(messages - hot, with_inbound)
    chats = [
        Chat(
            index=index,
            account=made[index % accounts],
            contact=f"+4080{mark}{index:03d}",
            reads=index % 2 == 0,
            requests=requests.get(index, 0),
            inbound=inbound.get(index, 0),
        )
        for index in range(others + 1)
    ]
    return Cast(accounts=made, chats=chats)


def with_last_words(cast: Cast) -> Cast:
    """One message more each way, in every chat."""
    chats = [replace(chat, requests=chat.requests + 1, inbound=chat.inbound + 1) for chat in cast.chats]
    return Cast(accounts=cast.accounts, chats=chats)


def _shared(total: int, among: Sequence[int]) -> dict[int, int]:
    each, left = divmod(total, len(among))
    return {index: each + (position < left) for position, index in enumerate(among)}
