"""What passed through the server, as tests ask for it: frames, what contacts wrote, and what went wrong."""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

_KEPT_STANZAS: Final = 20_000
_TOLD_APART_S: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A message frame of an account to a contact that reached the server, repeats included. Numbers are +E.164."""

    account: str
    contact: str
    id: str
    text: str | None
    """None where nobody could read it, or it is no text."""
    message: Any
    """e2e.Message; None where nobody could read it."""
    attempt: int
    """Counts the frames of this id from this account to this contact, from 1."""
    recorded_at: float
    device: int
    decryptable: bool
    refused: int | None = None
    """The code with which the server refused it; the contact never saw it then."""

    @property
    def timestamp_s(self) -> int:
        return int(self.recorded_at)


@dataclass(frozen=True, kw_only=True)
class Written:
    """A message that a contact wrote to an account, or that was typed on the account's own phone (`from_me`)."""

    account: str
    contact: str
    id: str
    text: str | None
    message: Any
    from_me: bool
    written_at: float

    @property
    def timestamp_s(self) -> int:
        return int(self.written_at)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A message as a contact's app shows it: once for each sender and id."""

    sender: str
    """+E.164"""
    id: str
    text: str | None
    message: Any
    shown_at: float


@dataclass(frozen=True, kw_only=True)
class ReceiptSeen:
    """A receipt that an account's device sent to a contact, such as `read`; kind is empty for delivered."""

    account: str
    contact: str
    ids: tuple[str, ...]
    kind: str
    seen_at: float


@dataclass(frozen=True, kw_only=True)
class PresenceSeen:
    """What a device said of itself."""

    account: str
    kind: str
    """`available` or `unavailable`."""
    name: str
    login: int
    """Of the connection; a device's logins are counted from 1."""


@dataclass(frozen=True, kw_only=True)
class Overtaken:
    """A stanza that was taken from a connection although the same device had logged in on another since."""

    account: str
    tag: str
    login: int
    """Of the connection; a device's logins are counted from 1."""
    latest_login: int
    at: float


@dataclass(kw_only=True)
class Login:
    """A connection on which a device logged in, and when stanzas were taken from it: of those within 50 ms the first and the last."""

    account: str
    began_at: float
    taken_at: list[float] = field(default_factory=list)

    def note(self, at: float) -> None:
        if at - max(self.taken_at[-2:-1], default=0.0) > _TOLD_APART_S:
            self.taken_at.append(at)
        else:
            self.taken_at[-1] = at


@dataclass(frozen=True, kw_only=True)
class Stanza:
    """One stanza on the wire, for a person who looks for what happened."""

    at: float
    device: str
    is_from_client: bool
    text: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that a correct client does not do, or that this server does not know."""

    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


@dataclass
class Record:
    frames: list[Frame] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    receipts: list[ReceiptSeen] = field(default_factory=list)
    presences: list[PresenceSeen] = field(default_factory=list)
    overtaken: list[Overtaken] = field(default_factory=list)
    logins: list[Login] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    stanzas: deque[Stanza] = field(default_factory=lambda: deque(maxlen=_KEPT_STANZAS))
    """The latest; empty unless `keeps_stanzas`."""
    keeps_stanzas: bool = False
    forgiven: set[str] = field(default_factory=set)
    _attempts: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def next_attempt(self, account: str, contact: str, message_id: str) -> int:
        self._attempts[account, contact, message_id] += 1
        return self._attempts[account, contact, message_id]

    def add_problem(self, kind: str, detail: str) -> None:
        if kind not in self.forgiven:
            self.problems.append(Problem(kind=kind, detail=detail))

    def forgive(self, kind: str) -> None:
        """From now on, and for what happened already: this is part of the test."""
        self.forgiven.add(kind)
        self.problems = [problem for problem in self.problems if problem.kind != kind]
