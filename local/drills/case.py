"""One drill under way: strikes, looks at what the account and its alerts say, mends, and looks whether it is over."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from core import schema
from core.alert_types import ALERTS, AlertType
from local.chaos.crew import is_alive
from local.drills.drill import Drill, Line
from local.drills.fields import said
from local.drills.ground import Ground, until
from local.drills.people import People, whatsapp_id
from local.drills.watch import Document, Seen
from local.faults.cast import Account, Inbound, Request

_LIMIT_S = 60.0
"""For what takes moments: the machine may be busy."""


@dataclass(kw_only=True)
class Case:
    ground: Ground
    drill: Drill
    people: People
    line: Line = field(init=False)
    struck_at: float = field(default=0.0, init=False)
    mended_at: float = field(default=0.0, init=False)
    _places: "count[int]" = field(default_factory=count, init=False)

    def __post_init__(self) -> None:
        self.line = Line(drill=self.drill)

    @property
    def account(self) -> Account:
        return self.people.accounts[0]

    @property
    def name(self) -> str:
        return str(self.account.account_id)

    # The cause

    def strike(self, what: str, do: Callable[[], object]) -> None:
        self.line.done = what
        self.struck_at = time.monotonic()
        do()

    def mend(self, what: str, do: Callable[[], object]) -> None:
        self.line.ended_by = what
        self.mended_at = time.monotonic()
        do()

    # What is seen then

    def shows(self, *, limit_s: float = _LIMIT_S, **wanted: object) -> Document:
        """Waits until the account's fields are so since the strike; a text that ends with `...` is how a field begins."""
        seen = self._await_fields(wanted, self.struck_at, limit_s)
        self.line.shown_after_s = seen.at - self.struck_at
        self.line.account = said(seen.document)
        return seen.document

    def alerts(self, *, limit_s: float = _LIMIT_S) -> None:
        """Waits until the drill's alert is open since the strike, and keeps what the command line shows of it."""
        alert = self._meant()
        severity = ALERTS[alert].severity
        found = self.ground.watch.await_alert(
            lambda document: self._is(document, alert) and document["resolvedAt"] is None,
            f"the alert {alert}",
            since=self.struck_at,
            limit_s=limit_s,
        )
        if found.document["severity"] != severity:
            self.line.findings.append(f"the alert's severity is {found.document['severity']}")
        self.line.alert = f"{alert}, {severity}"
        self.line.alert_after_s = found.at - self.struck_at

    def screens(self, *commands: str) -> None:
        """Of the account where the command takes one."""
        for command in commands:
            arguments = command.split()
            takes_account = arguments[0] in ("account", "alerts", "queue") and len(arguments) == 1
            self.ground.admin.show(self.drill.name, *arguments, *([self.name] if takes_account else []))

    def is_over(self, *, limit_s: float = _LIMIT_S, **wanted: object) -> None:
        """Waits until the account's fields are so since the mending, and the alert is resolved."""
        fields = {"lastError": None, "degraded": False, **wanted}
        at = self._await_fields(fields, self.mended_at, limit_s).at
        if self.drill.alert is not None:
            at = self.is_resolved(limit_s=limit_s)
        self.line.over_after_s = at - self.mended_at

    def is_resolved(self, *, limit_s: float = _LIMIT_S) -> float:
        """The moment at which the alert's resolvedAt was seen."""
        alert = self._meant()
        found = self.ground.watch.await_alert(
            lambda document: self._is(document, alert) and document["resolvedAt"] is not None,
            f"the end of the alert {alert}",
            since=self.mended_at,
            limit_s=limit_s,
        )
        self.line.over_after_s = found.at - self.mended_at
        return found.at

    def a_quiet_day_passes(self) -> None:
        """What only tells of messages that have ended is over after a day: the alert is made a day older, and the sweeper looks."""
        day = timedelta(seconds=self.ground.timing.alert_quiet_s)

        def grow_old() -> None:
            for each in self.ground.watch.alerts():
                if self._is(each.document, self._meant()):
                    older = {"createdAt": each.document["createdAt"] - day}
                    self.ground.db.collection(schema.ALERTS).document(each.document_id).update(older)

        self.mend("a day without another (its createdAt was set a day back)", grow_old)
        self.is_resolved()

    # People

    def write_in(self, text: str = "in") -> str:
        """The contact writes. The answer is the row's waMessageKey."""
        place = next(self._places)
        message = Inbound(
            chat=self.people.chat, place=place, text=f"{text} {place}", whatsapp_id=whatsapp_id(self.name, place)
        )
        self.ground.stage.write_one(message)
        return f"{message.whatsapp_id}-in"

    def await_row(self, key: str, limit_s: float = _LIMIT_S) -> None:
        """It stands in the ingest log, and is processed."""
        row = self.ground.db.collection(schema.INGEST).document(f"{self.name}_{self.people.chat.chat_id}_{key}")
        until(lambda: (row.get().to_dict() or {}).get("processed") is True, "a received message is taken up", limit_s)

    def ask(self, text: str = "out") -> Request:
        """An employee writes."""
        place = next(self._places)
        request = Request(
            chat=self.people.chat, place=place, text=f"{text} {place}", client_message_id=f"c{place:04d}", uid="uid-1"
        )
        self.ground.stage.write_one(request)
        return request

    def await_request(self, request: Request, limit_s: float = _LIMIT_S, **wanted: object) -> Document:
        document: Document = {}

        def is_so() -> bool:
            nonlocal document
            document = self.request(request)
            return _holds(document, wanted)

        until(is_so, f"a request with {wanted}", limit_s)
        return document

    def request(self, request: Request) -> Document:
        return self.ground.db.collection(schema.OUTBOX).document(request.request_id).get().to_dict() or {}

    def contact_has(self, text: str) -> int:
        """How often the contact's app shows it: the record outside."""
        return sum(shown.text == text for shown in self.ground.network.inbox(self.people.contact))

    def talks(self) -> None:
        """A message each way, held against the record outside: who is mended, talks."""
        self.await_row(self.write_in("after it"))
        request = self.ask("after it")
        self.await_request(request, status="sent")
        if (times := self.contact_has(request.text)) != 1:
            self.line.findings.append(f"the contact has a message of after it {times} times")

    # The owner

    def kill_engine(self) -> None:
        owner = self.ground.crew.owner_of(self.account.account_id)
        engine = None if owner is None else self.ground.crew.engine_of(owner)
        if engine is not None and is_alive(engine):
            engine.kill()

    def _meant(self) -> AlertType:
        assert self.drill.alert is not None
        return self.drill.alert

    def _is(self, document: Document, alert: AlertType) -> bool:
        return document.get("type") == alert and document.get("accountId") in self._alerted()

    def _alerted(self) -> tuple[str | None, ...]:
        return (self.name,)

    def _await_fields(self, wanted: Mapping[str, object], since: float, limit_s: float) -> Seen:
        return self.ground.watch.await_account(
            self.name,
            lambda document: _holds(document, wanted),
            f"{self.name} with {wanted}",
            since=since,
            limit_s=limit_s,
        )


def _holds(document: Document, wanted: Mapping[str, object]) -> bool:
    return all(_is_so(document.get(name), value) for name, value in wanted.items())


def _is_so(value: object, wanted: object) -> bool:
    if wanted is datetime:
        return isinstance(value, datetime)
    if isinstance(wanted, str) and wanted.endswith("..."):
        return isinstance(value, str) and value.startswith(wanted[:-3])
    return value == wanted


def event_id(case: Case, key: str) -> str:
    return f"{case.name}_{case.people.chat.chat_id}_{key}"
