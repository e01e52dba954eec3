"""What goes wrong on request: which fault, for whom and for how long."""

import itertools
from dataclasses import dataclass, replace
from enum import StrEnum


class FaultKind(StrEnum):
    """The first seven strike sends, the next five what the network hands to an account, the last one its phone."""

    DELAY_BEFORE = "delay_before"
    """`seconds` pass before the frame goes; later sends of the chat wait behind it."""
    DELAY_AFTER = "delay_after"
    """The frame arrives; its ack takes `seconds`. When the send has ended by then, the ack comes as a SENT receipt."""
    DROP = "drop"
    """The frame is lost: nothing is recorded, the send ends UNKNOWN when its time has run out."""
    SILENT = "silent"
    """The frame arrives, the ack never comes: UNKNOWN when the send's time has run out."""
    CUT = "cut"
    """The frame arrives, the connection is cut before the ack; on the next, at once, the frame is repeated: two frames, SENT."""
    REFUSE = "refuse"
    """WhatsApp refuses the message: REJECTED with `code`. With `seconds` it says before the first refusal that cold messages are locked
    for so long, and, when the fault is cleared, that they are not."""
    NOT_SENT = "not_sent"
    """Nobody can encrypt for the contact: NOT_SENT. Over the wire, before the first message to it."""
    REPEAT = "repeat"
    """A message or receipt is handed over twice, as two events."""
    REORDER = "reorder"
    """A message or receipt is handed over only after the account's next one."""
    HOLD_RECEIPTS = "hold_receipts"
    """A contact's receipts are kept until the fault is cleared; then they come in order."""
    DEAF = "deaf"
    """The connection that the next message or receipt would come over stays, answers, and hands nothing over any more."""
    LOSE_BACKLOG = "lose_backlog"
    """A message that had waited for the account is announced when it connects, and never comes."""
    UNREADABLE = "unreadable"
    """A contact's message cannot be decrypted, and nobody but the phone's history has it."""
    PHONE_OFF = "phone_off"
    """What is asked of the account's phone is answered when the fault is cleared."""


NEEDS_SECONDS = frozenset({FaultKind.DELAY_BEFORE, FaultKind.DELAY_AFTER})


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`account` and `contact` are phone numbers; None stands for all. `times` counts down; None: until it is cleared."""

    fault_id: int
    kind: FaultKind
    account: str | None = None
    contact: str | None = None
    times: int | None = 1
    seconds: float = 0.0
    code: str = "463"

    def strikes(self, account: str, contact: str) -> bool:
        return self.account in (None, account) and self.contact in (None, contact) and self.times != 0


class FaultBook:
    """The faults that were asked for, in that order. A fault that is used up stays listed until it is cleared."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._ids = itertools.count(1)

    def add(
        self,
        kind: FaultKind,
        *,
        account: str | None = None,
        contact: str | None = None,
        times: int | None = 1,
        seconds: float = 0.0,
        code: str = "463",
    ) -> Fault:
        fault = Fault(
            fault_id=next(self._ids),
            kind=kind,
            account=account,
            contact=contact,
            times=times,
            seconds=seconds,
            code=code,
        )
        self._faults[fault.fault_id] = fault
        return fault

    def take(self, kind: FaultKind, account: str, contact: str) -> Fault | None:
        """The oldest fault of this kind that strikes here, one of its times used up; None where all goes well."""
        for fault in self._faults.values():
            if fault.kind is kind and fault.strikes(account, contact):
                if fault.times is not None:
                    self._faults[fault.fault_id] = replace(fault, times=fault.times - 1)
                return fault
        return None

    def clear(self, fault_id: int | None = None) -> list[int]:
        """Ends one fault, or all. Returns the ids of those that stood."""
        cleared = [known for known in self._faults if fault_id in (None, known)]
        for known in cleared:
            del self._faults[known]
        return cleared

    def all(self) -> list[Fault]:
        return list(self._faults.values())
