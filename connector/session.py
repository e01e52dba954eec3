"""One account's session for as long as this worker owns it: opens it, follows its events, and tells the account's document."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.cloud.firestore import AsyncClient, Increment

from connector import log, metrics
from connector.accounts import AccountDocument
from connector.arrival import ArrivalOrder
from connector.backoff import Backoff
from connector.ban import Ban
from connector.code_display import CodeDisplay
from connector.contract import engine_pb2 as pb
from connector.engine import Engine, EngineFailed, EngineRefused
from connector.events import is_of_group
from connector.gap_audit import GapAudit
from connector.hearing_watch import HearingWatch
from connector.intake import Intake, Progress
from connector.pace import Pace
from connector.pairing import NO_LINK, connected_fields, linked_fields, refusal_in_words
from connector.phone_watch import PhoneWatch
from connector.silence import Silence
from connector.store import UNAVAILABLE
from connector.telling import Telling
from connector.term import Term
from connector.wal import Wal
from core.account import NO_CODES, Command, CommandKind, Status
from core.errors import ErrorCode, described
from core.ids import AccountId
from core.phone_numbers import is_same_number

_REOPEN_FIRST_S = 0.2
_REOPEN_MAX_S = 10.0
_NOTHING: Mapping[str, object] = {}

_ENDINGS: Mapping[int, tuple[ErrorCode, str]] = {
    pb.SessionChanged.REPLACED: (ErrorCode.REPLACED, "the session was opened somewhere else"),
    pb.SessionChanged.BANNED: (ErrorCode.BANNED, "WhatsApp has banned the number for a time"),
    pb.SessionChanged.OUTDATED: (
        ErrorCode.OUTDATED,
        "WhatsApp refuses the newest known version of WhatsApp Web, or the fixed one",
    ),
    pb.SessionChanged.QUARANTINED: (
        ErrorCode.QUARANTINED,
        "handling the account's events has crashed the engine repeatedly; it is not connected for up to an hour",
    ),
}

_REMOVED = (ErrorCode.LOGGED_OUT, "the device was removed on the phone; pair the account again")
_BEHIND = "store_behind"
_REMOVALS: Mapping[str, tuple[ErrorCode, str]] = {
    _BEHIND: (
        ErrorCode.STORE_BEHIND,
        "the session store is older than the session was; remove the old device on the phone and pair the account again",
    ),
}


@dataclass(kw_only=True)
class Session:
    db: AsyncClient
    engine: Engine
    wal: Wal
    account: AccountDocument
    order: ArrivalOrder
    silence: Silence
    look_s: float
    """How often the session's silence is looked at."""
    heartbeat_s: float
    call_s: float
    opens: Pace
    """Of all sessions of this worker together."""
    on_connected: Callable[[AccountId], None]
    """Called when the account's document says connected."""
    phone_day_s: float = 86_400.0
    """How long a day lasts for the phone's watch."""
    shows_groups: bool = True
    """Messages in groups are taken up; else they are acknowledged and left out."""
    trusts_announced: bool = False
    """See GapAudit."""
    is_connected: bool = field(default=False, init=False)
    _up: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set while it is connected."""
    _progress: Progress = field(default_factory=Progress, init=False)
    _last_sequence: int = field(default=0, init=False)
    _refused_after: float | None = field(default=None, init=False)
    """From another number's link to the next pairing: the events that came after this sequence are that number's."""
    _has_ended: bool = field(default=False, init=False)
    """Replaced, banned or outdated: not opened again until somebody asks."""
    _sits_out: bool = field(default=False, init=False)
    """Nothing was opened: the account is banned for a time."""
    _asked: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _draining: bool = field(default=False, init=False)
    _reader: asyncio.Task[None] | None = field(default=None, init=False)
    _intake: Intake | None = field(default=None, init=False)
    _telling: Telling = field(init=False)
    _codes: CodeDisplay = field(init=False)
    _gaps: GapAudit = field(init=False)
    _ban: Ban = field(init=False)
    _hearing: HearingWatch = field(init=False)
    _phone: PhoneWatch = field(init=False)

    def __post_init__(self) -> None:
        self._telling = Telling(db=self.db, account=self.account, call_s=self.call_s)
        self._codes = CodeDisplay(telling=self._telling)
        self._gaps = GapAudit(
            engine=self.engine,
            telling=self._telling,
            beat_s=self.heartbeat_s,
            is_connected=lambda: self.is_connected,
            trusts_announced=self.trusts_announced,
        )
        self._ban = Ban(account=self.account, try_again=self.try_again, spread_s=self.heartbeat_s)
        self.account.phone.day_s = self.phone_day_s
        self._phone = PhoneWatch(
            engine=self.engine, telling=self._telling, look_s=self.look_s, is_connected=lambda: self.is_connected
        )
        self._hearing = HearingWatch(
            silence=self.silence,
            engine=self.engine,
            telling=self._telling,
            look_s=self.look_s,
            is_connected=lambda: self.is_connected,
        )

    @property
    def term(self) -> Term:
        return self.account.term

    async def run(self) -> None:
        """Keeps the session open until it is drained. Raises TermLost, in an exception group."""
        async with asyncio.TaskGroup() as tasks:
            eraser = tasks.create_task(self._codes.erase_expired())
            beats = tasks.create_task(self._telling.beat(self.heartbeat_s, self._progress))
            hearing = tasks.create_task(self._hearing.run())
            gaps = tasks.create_task(self._gaps.run())
            bans = tasks.create_task(self._ban.run())
            phone = tasks.create_task(self._phone.run())
            await self._sit_out_ban()
            await self._stay_open()
            phone.cancel()
            bans.cancel()
            gaps.cancel()
            hearing.cancel()
            eraser.cancel()
            beats.cancel()

    async def drain(self, limit_s: float) -> None:
        """Takes no more events, and waits until those that were taken are acknowledged, at most `limit_s`."""
        self._draining = True
        self._asked.set()
        if self._reader is not None:
            self._reader.cancel()
        if self._intake is not None:
            try:
                async with asyncio.timeout(limit_s):
                    await self._intake.drained()
            except TimeoutError:
                return  # what is not acknowledged comes again, to the next owner

    async def leave(self, status: Status | None, reason: str) -> None:
        """Says that no worker holds the session any more. `status` None: what stands goes on, but for what needs a session."""
        if status is None and self._telling.status in (Status.CONNECTED, Status.CONNECTING):
            status = Status.RECONNECTING
        elif status is None and self._telling.status is Status.QR_READY:
            status = Status.NEEDS_QR
        fields: dict[str, Any] = {"assignedWorkerId": None, **self.account.pacing.left_fields()}
        if status is not None:
            fields["disconnectReason"] = reason
        self.fence()
        await self._telling.tell(status, fields, private=NO_CODES)

    def fence(self) -> None:
        self._set_connected(False)

    async def cold_lock_changed(self) -> None:
        """WhatsApp has refused a cold message, or said for how long it does; the account says so until it is over. Raises TermLost."""
        if self.account.pacing.is_locked(datetime.now(UTC)):
            log.cold_locked(self.term.account)
        await self._telling.cold_lock_changed()

    def forget_status(self) -> None:
        """The term is over: this worker counts the session no more."""
        self._telling.count_status(None)

    async def try_again(self) -> None:
        """Somebody looked after the account: a session that had ended for good is opened again."""
        if not self._has_ended:
            return
        self._has_ended = False
        self._asked.set()
        self.term.check()
        try:
            await self.engine.open(self.term)
        except EngineFailed as error:
            await self._telling.engine_failed("opening", error)

    async def carry_out(self, command: Command) -> bool:
        """False where it must be done again: a logout that failed would else be seen by nobody, for the session connects again. Of a
        pairing that failed, whoever waits for its code is told."""
        log.command_begun(self.term.account, command.kind)
        if command.kind is CommandKind.CLOSE_GAP:
            await self._gaps.close()
            return True
        if self._sits_out:
            await self.try_again()
        if command.kind is CommandKind.LOGOUT:
            return await self._log_out()
        await self._pair(command.phone_e164)
        return True

    # The stream

    async def _sit_out_ban(self) -> None:
        """A new owner opens nothing while the ban lasts that the one before was told of, unless somebody asks for it."""
        if self.account.pacing.is_banned(datetime.now(UTC)):
            self._has_ended = self._sits_out = True
            await self._asked.wait()
            self._sits_out = False

    async def _stay_open(self) -> None:
        backoff = Backoff(first_s=_REOPEN_FIRST_S, max_s=_REOPEN_MAX_S)
        while not self._draining:
            failure: EngineFailed | None = None
            opened_s = math.inf
            try:
                await self.opens.turn()
                if self._draining:
                    return
                await self._open()
                opened_s = time.monotonic()
                await self._follow_stream()
            except* EngineFailed as group:
                failure = _first(group)
            if _is_cancelled():
                raise asyncio.CancelledError
            if time.monotonic() - opened_s > _REOPEN_MAX_S:
                backoff.reset()  # a stream that has not lived so long proves nothing: the next one may break at once, too
            if self._draining:
                return
            if self._has_ended:
                self._asked.clear()
                await self._asked.wait()
            else:
                await self._lost_the_engine(failure)
                await asyncio.sleep(backoff.next_delay_s())
                await (
                    self.engine.serving.wait()
                )  # however long it is down, that is one delay: they open again as soon as it serves

    async def _open(self) -> None:
        self.term.check()
        opened = await self.engine.open(self.term)
        if not opened.paired:
            await self._telling.tell(Status.NEEDS_QR, {}, private={**NO_CODES, **NO_LINK})
        elif opened.phone_e164 and not is_same_number(self.account.phone_e164, opened.phone_e164):
            # What waits unacknowledged may be from before that link: it is kept, all of it, since nobody can tell.
            await self._refuse_number(after=math.inf)
        else:
            self._refused_after = None
            await self._telling.tell(Status.CONNECTING, {}, private=NO_CODES)

    async def _follow_stream(self) -> None:
        """Until the stream ends or breaks, or the session is drained."""
        intake = Intake(
            term=self.term,
            engine=self.engine,
            wal=self.wal,
            order=self.order,
            progress=self._progress,
            share=self.wal.memory.share(),
            committed=self._gaps.committed,
        )
        self._intake = intake
        try:
            async with asyncio.TaskGroup() as tasks:
                acknowledger = tasks.create_task(intake.acknowledge())
                self._reader = tasks.create_task(self._read(intake))
                await asyncio.wait({self._reader})
                if self._draining:
                    await intake.drained()
                acknowledger.cancel()
        finally:
            intake.withdraw()

    async def _read(self, intake: Intake) -> None:
        async for event in self.engine.events(self.term):
            kind = event.WhichOneof("kind")
            metrics.EVENTS.labels(kind or "unknown").inc()
            match kind:
                case "session":
                    await self._session_changed(event.session)
                case "pairing_code":
                    await self._show_code(event.pairing_code)
                case "passkey_request":
                    await self._codes.ask_passkey(event.passkey_request)
                case "pairing_ended":
                    await self._pairing_ended(event.pairing_ended)
                case "history_dropped":
                    metrics.HISTORY_DROPPED.inc(event.history_dropped.parts)
                case _ if self._is_of_refused_number(event):
                    await intake.pass_over(event)
                case _ if is_of_group(event) and not self.shows_groups:
                    metrics.GROUP_MESSAGES_HIDDEN.inc(kind == "message")
                    await intake.pass_over(event)
                case "phone_seen":
                    self._phone.seen(event.phone_seen)
                case "reachout_lock":
                    await self._reachout_lock(event.reachout_lock)
                case "backlog" | "awaited":
                    await intake.note(event, self._gaps.heard)
                case _:
                    self._hearing.heard()
                    self._last_sequence = max(self._last_sequence, event.sequence)
                    await intake.take(event)

    async def _lost_the_engine(self, failure: EngineFailed | None) -> None:
        """The stream ended or broke, or the session could not be opened."""
        self._set_connected(False)
        if isinstance(failure, EngineRefused):
            await self._confirm_term()
        if failure is None:
            return
        log.engine_failed(self.term.account, "session", failure)
        error = described(ErrorCode.ENGINE_FAILED, f"the engine's answer was {failure.status}; it is tried again")
        fields = {"lastError": error, "disconnectReason": str(ErrorCode.ENGINE_FAILED), "reconnectCount": Increment(1)}
        if self._telling.status is not Status.RECONNECTING:
            await self._telling.tell(Status.RECONNECTING, fields, private=NO_CODES)

    async def _confirm_term(self) -> None:
        """The engine may have refused because another worker owns the account: then it is over."""
        try:
            await self.account.confirm_term()
        except UNAVAILABLE as error:
            log.account_not_written(self.term.account, error)

    # What happens to the session

    async def _session_changed(self, changed: pb.SessionChanged) -> None:
        if self._refused_after is not None:
            return  # still about the number that was refused
        match changed.state:
            case pb.SessionChanged.CONNECTING:
                if self._telling.status is not Status.CONNECTING:
                    await self._telling.tell(Status.CONNECTING, {})
            case pb.SessionChanged.CONNECTED:
                await self._connected(changed)
            case pb.SessionChanged.RECONNECTING:
                self._set_connected(False)
                fields = {"disconnectReason": changed.reason or None, "reconnectCount": Increment(1)}
                await self._telling.tell(Status.RECONNECTING, fields)
            case pb.SessionChanged.LOGGED_OUT if changed.reason == _BEHIND and self.account.phone_e164 is None:
                pass  # it was never paired: an empty store has lost nothing of it
            case pb.SessionChanged.LOGGED_OUT:
                code, detail = _REMOVALS.get(changed.reason, _REMOVED)
                await self._ended(Status.NEEDS_QR, code, detail, changed.reason)
            case state if state in _ENDINGS:
                await self._confirm_term()  # replaced by a new owner's session: nothing to tell
                self._has_ended = True
                code, detail = _ENDINGS[state]
                ban = self._ban.begin(changed.ban_ends_at_unix_s) if state == pb.SessionChanged.BANNED else {}
                await self._ended(Status.ERROR, code, detail, changed.reason, ban)

    async def _reachout_lock(self, lock: pb.ReachoutLock) -> None:
        if self._refused_after is not None:
            return  # it is about the number that was refused
        self.account.pacing.told(is_active=lock.active, ends_at_unix_s=lock.ends_at_unix_s)
        await self.cold_lock_changed()

    async def _connected(self, changed: pb.SessionChanged) -> None:
        phone = changed.phone_e164
        if phone and not is_same_number(self.account.phone_e164, phone):
            await self._refuse_number(after=self._last_sequence)
            return
        self._has_ended = False
        self._set_connected(True)
        fields: dict[str, Any] = {"lastError": None, "disconnectReason": None, "lastSeenAt": datetime.now(UTC)}
        if phone:
            fields["phoneE164"] = phone
        self.account.phone.begin(fields["lastSeenAt"])
        fields |= self.account.phone.due_fields()
        fields |= self.account.pacing.paired(fields["lastSeenAt"]) | self.account.pacing.ban_over_fields()
        self._codes.forget()
        self._gaps.connected()
        link = connected_fields(changed.device, self.engine.version) if changed.HasField("device") else {}
        await self._telling.tell(Status.CONNECTED, fields, private={**NO_CODES, **link})
        self.on_connected(self.term.account)

    async def _ended(
        self, status: Status, code: ErrorCode, detail: str, reason: str, more: Mapping[str, object] = _NOTHING
    ) -> None:
        self._set_connected(False)
        fields = {"lastError": described(code, detail), "disconnectReason": reason or str(code), **more}
        private = {**NO_CODES, **NO_LINK} if status is Status.NEEDS_QR else NO_CODES
        await self._telling.tell(status, fields, private=private)
        await self._telling.alert(code, detail)

    async def _refuse_number(self, *, after: float) -> None:
        """Another phone was linked: the link is removed, and none of its events, which are those after `after`, is taken."""
        if self._refused_after is None:
            self._refused_after = after
        self._set_connected(False)
        self._codes.forget()
        self.term.check()
        failure: EngineFailed | None = None
        try:
            await self.engine.logout(self.term)  # first: until then, that number's messages come in
        except EngineFailed as error:
            failure = error
        detail = "the account was paired with another number than its own; the link was removed"
        fields = {"lastError": described(ErrorCode.OTHER_NUMBER, detail)}
        await self._telling.tell(Status.ERROR, fields, private={**NO_CODES, **NO_LINK})
        await self._telling.alert(ErrorCode.OTHER_NUMBER, detail)
        if failure is not None:
            raise failure  # the session is opened again, which finds the link where it still stands

    def _is_of_refused_number(self, event: pb.Event) -> bool:
        return self._refused_after is not None and event.sequence > self._refused_after

    # Pairing

    async def _pair(self, phone: str | None) -> None:
        self.term.check()
        try:
            opened = await self.engine.open(self.term)
            if not opened.paired:
                await self.engine.pair(self.term, phone)
                return
        except EngineFailed as error:
            await self._telling.engine_failed("pairing", error)
            return
        detail = "the account is linked already; log it out first"
        await self._telling.tell(None, {"lastError": described(ErrorCode.PAIRING_FAILED, detail)})

    async def _show_code(self, code: pb.PairingCode) -> None:
        self._refused_after = None
        await self._codes.show(code)

    async def _pairing_ended(self, ended: pb.PairingEnded) -> None:
        self._codes.forget()
        match ended.result:
            case pb.PairingEnded.PAIRED if ended.phone_e164 and not is_same_number(
                self.account.phone_e164, ended.phone_e164
            ):
                await self._refuse_number(after=self._last_sequence)
            case pb.PairingEnded.PAIRED:
                now = datetime.now(UTC)
                self.account.phone.seen(now, now)
                fields = {"lastError": None, **self.account.phone.fields()}
                await self._telling.tell(Status.CONNECTING, fields, private={**NO_CODES, **linked_fields(now)})
            case pb.PairingEnded.EXPIRED:
                await self._codes.expire(ended.reason)
            case _:
                error = described(ErrorCode.PAIRING_FAILED, refusal_in_words(ended.reason))
                await self._telling.tell(Status.NEEDS_QR, {"lastError": error}, private=NO_CODES)

    async def _log_out(self) -> bool:
        """Whether the device is removed."""
        self.term.check()
        try:
            opened = await self.engine.open(self.term)
            if opened.paired:
                await self._await_connected()
            await self.engine.logout(self.term)
        except EngineFailed as error:
            await self._telling.engine_failed("logging out", error)
            return False
        self._set_connected(False)
        self._codes.forget()
        detail = described(ErrorCode.LOGGED_OUT, "a super-admin removed the device")
        fields = {"lastError": detail, "disconnectReason": str(ErrorCode.LOGGED_OUT)}
        await self._telling.tell(Status.NEEDS_QR, fields, private={**NO_CODES, **NO_LINK})
        return True

    async def _await_connected(self) -> None:
        """For a while: only a session that is connected can tell WhatsApp that it is removed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.call_s):
                await self._up.wait()

    def _set_connected(self, connected: bool) -> None:
        if connected != self.is_connected:
            self.is_connected = connected
            metrics.CONNECTED.inc(1 if connected else -1)
            if connected:
                self._up.set()
            else:
                self._up.clear()


def _is_cancelled() -> bool:
    """Whether this task was cancelled. A TaskGroup of Python 3.11 raises its child's failure alone where both come at once
    (https://github.com/python/cpython/issues/116720)."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _first(group: BaseExceptionGroup[EngineFailed]) -> EngineFailed:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
