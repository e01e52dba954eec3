"""A campaign: stanzas are thrown at one account of a real engine, while another contact writes to it and must be heard."""

import random
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.engine.conftest import Linked
from tests.engine.running import Account, RunningEngine
from tests.fuzz.stanzas import Throw, Thrower, known
from tests.fuzz.values import Draw
from tests.whatsapp import Contact, WhatsAppServer

_BATCH = 40
_OFFLINE = 0.3
"""So many batches wait at WhatsApp, and come with the next login."""
_HEARD_WITHIN_S = 30.0
_AS_ODD_AS_THE_STANZAS = ("refused_by_client", "unknown_retry", "unknown_request", "undecryptable", "nobody_can_read")
"""What the server minds of the engine's answers."""
_LOGGED = ("handler_panicked", "decryption_panicked", "stanza_isolated", "event_given_back")


@dataclass(kw_only=True)
class Report:
    seed: int
    throws: int = 0
    by_tag: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    judged: int = 0
    """Of them, those of which it is certain what must come of them."""
    events: Counter[str] = field(default_factory=Counter)
    logged: Counter[str] = field(default_factory=Counter)
    reconnects: int = 0
    """Beyond those that the campaign made."""
    crashes: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return "\n".join(
            (
                f"seed {self.seed}: {self.throws} stanzas in {self.batches} batches, {self.seconds:.0f} s: {dict(self.by_tag)}",
                f"of certain outcome: {self.judged}; events: {dict(self.events)}",
                f"logged: {dict(self.logged)}; reconnects: {self.reconnects}; crashes: {len(self.crashes)}",
                *self.crashes,
                f"findings: {len(self.findings)}",
                *self.findings,
            )
        )


@dataclass(kw_only=True)
class Campaign:
    server: WhatsAppServer
    engine: RunningEngine
    linked: Linked
    seed: int
    report: Report = field(init=False)
    _thrower: Thrower = field(init=False)
    _account: Account = field(init=False)
    _told: int = field(default=0, init=False)
    _uninvolved: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        eve: Contact = self.server.add_contact("+40755555555", "Eve", addressing="lid")
        linked = self.linked
        draw = Draw(rng=random.Random(self.seed), known=known(linked.phone, linked.device, eve))
        self.report = Report(seed=self.seed)
        for kind in _AS_ODD_AS_THE_STANZAS:
            self.server.forgive(kind)
        self._thrower = Thrower(draw=draw, device=linked.device, phone=linked.phone, contact=eve)
        self._account = linked.account
        self._uninvolved = frozenset({str(linked.ana.number_jid), str(linked.ana.lid)})

    async def run(self, *, seconds: float) -> Report:
        began = time.monotonic()
        await self._is_heard()
        while time.monotonic() - began < seconds:
            await self._batch()
        await self._account.leave()
        self.report.seconds = time.monotonic() - began
        self.report.logged.update(name for name in _LOGGED for line in self.engine.log if f'"event":"{name}"' in line)
        return self.report

    async def _batch(self) -> None:
        draw, device = self._thrower.draw, self.linked.device
        throws = [self._thrower.next() for _ in range(_BATCH)]
        is_offline = draw.chance(_OFFLINE)
        if is_offline:
            self.server.faults.drop(device)
        for throw in throws:
            self._throw(throw)
        self.report.batches += 1
        try:
            await self._is_heard()
            await device.caught_up(_HEARD_WITHIN_S)
        except (AssertionError, TimeoutError) as error:
            self._find(f"batch {self.report.batches}: {error}", [str(node) for node in device.waiting.stanzas[:3]])
            await self._mend()
        self._judge(throws, was_offline=is_offline)

    def _throw(self, throw: Throw) -> None:
        self.report.throws += 1
        self.report.by_tag[throw.node.tag] += 1
        self.report.judged += any((throw.shown_as, throw.awaited_as, throw.told_of))
        if throw.is_queued:
            self.linked.device.deliver(throw.node)
        elif self.linked.device.connection is not None:
            self.linked.device.connection.send(throw.node)

    async def _is_heard(self) -> None:
        """A contact who has nothing to do with it writes, and is shown."""
        text = f"still there? {self.report.batches}"
        await self.linked.ana.send(self.linked.phone, text)
        await self._account.until_message(text, _HEARD_WITHIN_S)

    async def _mend(self) -> None:
        """Goes on after a finding: the stanzas that were in the way are taken away, an engine that is gone is started again."""
        process = self.engine.process
        assert process is not None
        if process.returncode is not None:
            self.report.crashes.append("\n".join(self.engine.log[-30:]))
        await self._account.leave()
        await self.engine.kill()
        for entry in self.linked.device.waiting.after(0):
            self.linked.device.waiting.lose(entry)
        await self.engine.start()
        await self._account.open()

    def _judge(self, throws: list[Throw], *, was_offline: bool) -> None:
        """What was acknowledged must be told of, if somebody would miss it."""
        events = self._account.events[self._told :]
        self._told = len(self._account.events)
        self.report.events.update(str(event.WhichOneof("kind")) for event in events)
        losses = sum(event.session.state == event.session.RECONNECTING for event in events)
        self.report.reconnects += max(0, losses - was_offline)
        messages = {
            event.message.whatsapp_id
            for event in events
            if event.HasField("message") and event.message.unsupported != "isolated"
        }
        for awaited in (event.awaited for event in events if event.HasField("awaited")):
            if awaited.chat_jid in self._uninvolved:
                self._find("the ratchet of a contact was harmed who has nothing to do with it", [str(awaited)])
        awaited_ids = {event.awaited.whatsapp_id for event in events if event.HasField("awaited")}
        receipts = {name for event in events if event.HasField("receipt") for name in event.receipt.whatsapp_ids}
        for throw in throws:
            if throw.shown_as is not None and _given(throw.shown_as) not in messages:
                self._find("it was acknowledged and is not shown", [str(throw.node)])
            if throw.awaited_as is not None and _given(throw.awaited_as) not in messages | awaited_ids:
                self._find("it was acknowledged and nobody waits for it", [str(throw.node)])
            if throw.told_of is not None and _given(throw.told_of) not in receipts:
                self._find("it was acknowledged and nobody is told of it", [str(throw.node)])

    def _find(self, what: str, details: list[str]) -> None:
        self.report.findings.append("\n    ".join((what, *(detail[:2000] for detail in details))))


def _given(message_id: str) -> str:
    """An id as the contract gives it: a run of bytes that are not UTF-8 becomes one sign."""
    text = ""
    for char in message_id:
        is_stray = "\udc80" <= char <= "\udcff"
        if not is_stray:
            text += char
        elif not text.endswith("\ufffd"):
            text += "\ufffd"
    return text
