"""One drill under way: strikes, looks at what the account and its alerts say, mends, and looks whether it is over."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from core import schema, thread
from core.alert_types import ALERTS, AlertType
from core.thread import Thread
from local.drills.drill import Drill, Line
from local.drills.fields import Document, said
from local.drills.ground import Ground, until
from local.drills.people import People, whatsapp_id
from local.drills.watch import Seen
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

    def is_about_one_that_is_told_of(self) -> None:
        """Of its accounts, the first one becomes one of which an alert is open."""
        told = {
            each.document["accountId"] for each in self.ground.watch.alerts() if self._is(each.document, self._meant())
        }
        accounts = sorted(self.people.accounts, key=lambda account: account.account_id not in told)
        self.people = replace(self.people, accounts=accounts)

    @property
    def name(self) -> str:
        return str(self.account.account_id)

    @property
    def names(self) -> Collection[str]:
        return [str(account.account_id) for account in self.people.accounts]

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

        def all_are() -> float | None:
            own = [each for each in self.ground.watch.alerts() if self._is(each.document, alert)]
            are_over = own and all(each.document["resolvedAt"] is not None for each in own)
            return max(each.at for each in own) if are_over else None

        until(all_are, f"the end of the alert {alert}", limit_s)
        at = all_are() or time.monotonic()
        self.line.over_after_s = at - self.mended_at
        return at

    def a_quiet_day_passes(self) -> None:
        """What only tells of messages that have ended is over after a day: the alert is made a day older, and the sweeper looks."""
        day = timedelta(seconds=self.ground.timing.alert_quiet_s)

        def grow_old() -> None:
            for each in self.ground.watch.alerts():
                if self._is(each.document, self._meant()):
                    older = {name: each.document[name] - day for name in ("createdAt", "lastAt")}
                    self.ground.db.collection(schema.ALERTS).document(each.document_id).update(older)

        self.mend("a day without another (its times were set a day back)", grow_old)
        self.is_resolved()

    def sees(self, holds: Callable[[Document], bool], what: str, *, limit_s: float = _LIMIT_S) -> Document:
        """`shows`, of what no list of fields says."""
        seen = self.ground.watch.await_account(self.name, holds, what, since=self.struck_at, limit_s=limit_s)
        self.line.shown_after_s = seen.at - self.struck_at
        self.line.account = said(seen.document)
        return seen.document

    def stands(self) -> None:
        """What the account says while the alert is open: of a cause that its own fields do not show."""
        self.line.account = said(self.fields(), seen_each_s=4 * self.ground.timing.heartbeat_s)

    def fields(self) -> Document:
        return self.ground.db.collection(schema.ACCOUNTS).document(self.name).get().to_dict() or {}

    def is_connected(self) -> bool:
        """Whether WhatsApp has its session."""
        accounts = self.ground.network.accounts()
        return self.account.phone in accounts and accounts[self.account.phone].is_connected

    def await_session(self) -> None:
        """On a busy machine a lease may be lost, and the session is opened again seconds later."""
        until(self.is_connected, "WhatsApp has the account's session", _LIMIT_S)

    def pair(self, phone: str | None = None) -> None:
        """With the real command; the code that it shows is typed into this phone, the account's own unless given."""
        used = phone or self.account.phone
        self.ground.admin.pair(self.drill.name, self.name, used, lambda code: self._typed(used, code))

    def _typed(self, phone: str, code: str) -> None:
        self.ground.network.enter_code(phone, code)

    def expect(self, is_so: bool, what: str) -> None:
        if not is_so:
            self.line.findings.append(f"not so: {what}")

    def await_fields(self, *, limit_s: float = _LIMIT_S, **wanted: object) -> Document:
        """From now on, or so already."""
        return self._await_fields(wanted, time.monotonic(), limit_s).document

    # People

    def begin_chat(self) -> None:
        """An employee opens a chat with the contact, who has not written."""
        chat = self.people.chat
        document = thread.new_document(
            chat.account.account_id, chat.chat_id, Thread(phone=chat.contact), datetime.now(UTC)
        )
        self.ground.db.collection(schema.THREADS).document(chat.thread_id).create(document)

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
        request = self.draft(text)
        self.ground.stage.write_one(request)
        return request

    def draft(self, text: str = "out") -> Request:
        place = next(self._places)
        return Request(
            chat=self.people.chat, place=place, text=f"{text} {place}", client_message_id=f"c{place:04d}", uid="uid-1"
        )

    def await_contact(self, text: str, limit_s: float = _LIMIT_S) -> None:
        until(lambda: self.contact_has(text) == 1, "the contact has a message once", limit_s)

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

    def _meant(self) -> AlertType:
        assert self.drill.alert is not None
        return self.drill.alert

    def _is(self, document: Document, alert: AlertType) -> bool:
        return document.get("type") == alert and self.is_about(document)

    def is_about(self, alert: Document) -> bool:
        """One that tells of a malformed document names no account: then by the document's path."""
        account, about = alert.get("accountId"), (alert.get("meta") or {}).get("document") or ""
        if account is not None:
            return account in self.names
        return self.drill.of_all if not about else any(f"/{name}_" in about for name in self.names)

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
