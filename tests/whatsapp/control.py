"""The control API of the simulated network (local/network/README.md) over the wire-level server: the same calls, the same answers.

What the protocol itself cannot do on request is refused with 409.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web
from google.protobuf import json_format

from local.control_api import Fields, Handler, Json, control_application
from local.network.contacts import Addressing
from local.network.faults import FaultKind
from local.network.passkey import Passkey
from local.network.trouble import NO_SERVICE, REMOVED_CODES, Break, Change
from local.network.world import Frame, Written
from local.refusals import Malformed, NotPossible, Unknown
from tests.whatsapp.connection import PairingRefused
from tests.whatsapp.contact import Contact, ReceiptKind
from tests.whatsapp.device import Device
from tests.whatsapp.faults import Fault
from tests.whatsapp.groups import Group
from tests.whatsapp.phone import Phone
from tests.whatsapp.protobufs import e2e
from tests.whatsapp.record import Frame as WireFrame
from tests.whatsapp.record import Written as WireWritten
from tests.whatsapp.server import WhatsAppServer

_RECEIPTS: Mapping[str, ReceiptKind] = {"delivered": "delivered", "read": "read"}


class Control:
    def __init__(self, server: WhatsAppServer) -> None:
        self._server = server
        self._contacts: dict[str, Contact] = {}
        self._phones: dict[str, Phone] = {phone.number: phone for phone in server.phones}
        self._groups: dict[str, Group] = {}
        self._faults: dict[int, tuple[FaultKind, Fault]] = {}
        self._login_failures: dict[str, Fault] = {}
        self._without_lid: dict[str, Fault] = {}

    def application(self) -> web.Application:
        return control_application(self._calls())

    def _calls(self) -> list[tuple[str, str, Handler, str]]:
        """Method, path, what serves it and the names of its fields."""
        return [
            ("GET", "/accounts", self.accounts, ""),
            ("GET", "/contacts", self.contacts, ""),
            ("GET", "/inbox", self.inbox, "contact"),
            ("GET", "/frames", self.frames, "account contact whatsapp_id"),
            ("GET", "/written", self.written, "account contact whatsapp_id"),
            ("GET", "/marked", self.marked, ""),
            ("GET", "/faults", self.standing_faults, ""),
            ("POST", "/contact", self.put_contact, "phone name reads addressing"),
            ("POST", "/scan", self.scan, "account qr"),
            ("POST", "/enter-code", self.enter_code, "account code"),
            ("POST", "/want-passkey", self.want_passkey, "account"),
            ("POST", "/sign", self.sign, "account options"),
            ("POST", "/fail-pairing", self.fail_pairing, "account_id"),
            ("POST", "/write", self.write, "contact to text unsupported whatsapp_id addressing"),
            ("POST", "/type", self.type_on_phone, "account contact text whatsapp_id"),
            ("POST", "/send-message", self.send_message, "contact to group message whatsapp_id addressing"),
            ("POST", "/send-view-once", self.send_view_once, "contact to"),
            ("POST", "/create-group", self.create_group, "account name members"),
            ("POST", "/write-in-group", self.write_in_group, "group contact text"),
            ("POST", "/call", self.call, "contact to"),
            ("POST", "/look-at", self.look_at, "account contact whatsapp_ids"),
            ("POST", "/send-history", self.send_history, "account contacts"),
            ("POST", "/receipt", self.receipt, "contact account whatsapp_ids type addressing"),
            ("POST", "/read", self.read, "contact account whatsapp_ids"),
            ("POST", "/connection", self.connection, "account change how code seconds"),
            ("POST", "/fault", self.add_fault, "kind account contact times seconds code"),
            ("POST", "/clear-faults", self.clear_faults, "fault_id"),
            ("POST", "/settings", self.change_settings, "receipt_delay_s"),
            ("GET", "/problems", self.problems, ""),
            ("GET", "/overtaken", self.overtaken, ""),
            ("GET", "/logins", self.logins, ""),
        ]

    # What there is

    def accounts(self, _fields: Fields) -> Json:
        """A linked device a row. The server knows no accountId: the phone's number stands in its place."""
        return [
            {
                "account_id": phone.number,
                "phone": phone.number,
                "epoch": device.logins,
                "is_open": device.is_connected,
                "is_connected": device.is_ready,
                "unacknowledged": len(device.waiting) if device.is_connected else 0,
                "offline": 0 if device.is_connected else len(device.waiting),
            }
            for phone in self._phones.values()
            for device in phone.devices
        ]

    def contacts(self, _fields: Fields) -> Json:
        return [_contact_row(contact) for contact in self._contacts.values()]

    def inbox(self, fields: Fields) -> Json:
        contact = self._contact(fields.phone("contact"))
        return [
            {
                "sender": shown.sender,
                "whatsapp_id": shown.id,
                "text": shown.text or "",
                "timestamp_s": int(shown.shown_at),
            }
            for shown in contact.inbox
        ]

    def frames(self, fields: Fields) -> Json:
        wanted = _filter(fields, "account", "contact", "whatsapp_id")
        rows = [
            {**asdict(_frame(frame)), "timestamp_s": frame.timestamp_s}
            for frame in self._server.frames()
            if frame.refused is None
        ]
        return [row for row in rows if wanted.items() <= row.items()]

    def written(self, fields: Fields) -> Json:
        wanted = _filter(fields, "account", "contact", "whatsapp_id")
        rows = (asdict(_written(written)) for written in self._server.written)
        return [row for row in rows if wanted.items() <= row.items()]

    def marked(self, _fields: Fields) -> Json:
        return [
            {"account": seen.account, "contact": seen.contact, "whatsapp_ids": list(seen.ids)}
            for seen in self._server.receipts
            if seen.kind == "read"
        ]

    def problems(self, _fields: Fields) -> Json:
        """What a correct client does not do, or this server does not know."""
        return [{"kind": problem.kind, "detail": problem.detail} for problem in self._server.problems]

    def logins(self, _fields: Fields) -> Json:
        """Each with the times at which stanzas were taken from its connection."""
        return [asdict(login) for login in self._server.logins]

    def overtaken(self, _fields: Fields) -> Json:
        """Stanzas that were taken from a connection after a newer one of the same device had logged in."""
        return [asdict(overtaken) for overtaken in self._server.overtaken]

    # People

    def put_contact(self, fields: Fields) -> Json:
        number, name = fields.phone("phone"), fields.text("name")
        reads = fields.flag("reads", default=False)
        addressing = fields.optional_choice("addressing", Addressing) or Addressing.NUMBER
        contact = self._contacts.get(number)
        if contact is None:
            contact = self._contacts[number] = self._server.add_contact(
                number, name, addressing=addressing.value, reads=reads
            )
        else:
            contact.name, contact.addressing, contact.reads = name, addressing.value, reads
        self._tell_lid(number, is_told=addressing is not Addressing.NUMBER_ONLY)
        return _contact_row(contact)

    def _tell_lid(self, number: str, *, is_told: bool) -> None:
        """A contact that is known by its number only keeps its LID to itself when it is asked for, too."""
        if is_told and number in self._without_lid:
            self._without_lid.pop(number).end()
        elif not is_told and number not in self._without_lid:
            self._without_lid[number] = self._server.faults.no_lid(self._contacts[number])

    async def scan(self, fields: Fields) -> Json:
        phone, qr = self._phone_of(fields.phone("account")), fields.text("qr")
        return await _linked_by(phone.scan(qr))

    async def enter_code(self, fields: Fields) -> Json:
        phone, code = self._phone_of(fields.phone("account")), fields.text("code")
        return await _linked_by(phone.enter_code(code))

    def want_passkey(self, fields: Fields) -> Json:
        phone = self._phone_of(fields.phone("account"))
        phone.passkey = phone.passkey or Passkey()
        return {}

    def sign(self, fields: Fields) -> Json:
        passkey = self._phone_of(fields.phone("account")).passkey
        if passkey is None:
            raise Unknown("the account of this number has no passkey")
        return {"answer": passkey.sign(fields.text("options"))}

    def fail_pairing(self, fields: Fields) -> Json:
        """The server knows no accountId: every connection that shows codes is cut."""
        fields.text("account_id")
        if not self._server.faults.end_pairing():
            raise NotPossible("no account is being paired")
        return {}

    async def write(self, fields: Fields) -> Json:
        text, unsupported = fields.optional_text("text"), fields.optional_text("unsupported")
        if (text is None) == (unsupported is None):
            raise Malformed("exactly one of text and unsupported must be given")
        contact, phone = self._contact(fields.phone("contact")), self._linked(fields.phone("to"))
        addressing = fields.optional_choice("addressing", Addressing)
        options: dict[str, Any] = {
            "id": fields.optional_text("whatsapp_id"),
            "addressing": None if addressing is None else addressing.value,
        }
        if text is not None:
            return asdict(_written(await contact.send(phone, text, **options)))
        message = e2e.Message()
        getattr(message, str(unsupported)).SetInParent()
        return asdict(_written(await contact.send_message(phone, message, **options)))

    async def send_message(self, fields: Fields) -> Json:
        """`message` is waE2E.Message in protobuf's JSON: any kind, in any wrapper. It goes to the account `to`, or to a group."""
        contact, group, to = (
            self._contact(fields.phone("contact")),
            fields.optional_text("group"),
            fields.optional_phone("to"),
        )
        if (group is None) == (to is None):
            raise Malformed("exactly one of to and group must be given")
        addressing = fields.optional_choice("addressing", Addressing)
        try:
            message = json_format.Parse(fields.text("message"), e2e.Message())
        except json_format.ParseError as error:
            raise Malformed(f"message: {error}") from error
        message_id = fields.optional_text("whatsapp_id")
        if group is not None:
            return asdict(_written(await self._group(group).send_message(contact, message, id=message_id)))
        written = await contact.send_message(
            self._linked(str(to)),
            message,
            id=message_id,
            addressing=None if addressing is None else addressing.value,
        )
        return asdict(_written(written))

    def send_view_once(self, fields: Fields) -> Json:
        contact, phone = self._contact(fields.phone("contact")), self._linked(fields.phone("to"))
        return {"whatsapp_id": contact.send_view_once(phone)}

    def create_group(self, fields: Fields) -> Json:
        members = [self._contact(number) for number in fields.texts("members")]
        group = self._server.add_group(fields.text("name"), self._linked(fields.phone("account")), members)
        self._groups[str(group.jid)] = group
        return {"group": str(group.jid)}

    async def write_in_group(self, fields: Fields) -> Json:
        group, contact = self._group(fields.text("group")), self._contact(fields.phone("contact"))
        return asdict(_written(await group.send(contact, fields.text("text"))))

    def call(self, fields: Fields) -> Json:
        contact, phone = self._contact(fields.phone("contact")), self._linked(fields.phone("to"))
        return {"call_id": contact.call(phone)}

    def look_at(self, fields: Fields) -> Json:
        """The phone's owner reads a contact's messages."""
        phone, contact = self._linked(fields.phone("account")), self._contact(fields.phone("contact"))
        phone.look_at(contact, fields.texts("whatsapp_ids"))
        return {}

    async def send_history(self, fields: Fields) -> Json:
        """What a phone tells a device that it has just linked: who has which LID, and what was written with these contacts."""
        phone = self._linked(fields.phone("account"))
        contacts = [self._contact(number) for number in fields.texts("contacts")]
        past = [
            (contact, [written for written in self._server.written if written.contact == contact.number])
            for contact in contacts
        ]
        for device in phone.devices:
            await phone.send_history(device, mappings=contacts, conversations=past, sync_type="INITIAL_BOOTSTRAP")
        return {}

    async def type_on_phone(self, fields: Fields) -> Json:
        phone, contact = self._linked(fields.phone("account")), self._contact(fields.phone("contact"))
        written = await phone.write(contact, fields.text("text"), id=fields.optional_text("whatsapp_id"))
        return asdict(_written(written))

    def receipt(self, fields: Fields) -> Json:
        name = fields.text("type")
        if name not in _RECEIPTS:
            raise NotPossible(f"a contact sends {' and '.join(_RECEIPTS)}")
        contact, phone = self._contact(fields.phone("contact")), self._linked(fields.phone("account"))
        addressing = fields.optional_choice("addressing", Addressing)
        ids = fields.texts("whatsapp_ids")
        contact.receipt(phone, ids, _RECEIPTS[name], None if addressing is None else addressing.value)
        return {}

    async def read(self, fields: Fields) -> Json:
        contact, phone = self._contact(fields.phone("contact")), self._linked(fields.phone("account"))
        return {"whatsapp_ids": await contact.read(phone, fields.optional_texts("whatsapp_ids"))}

    # Trouble

    async def connection(self, fields: Fields) -> Json:
        phone, code = self._linked(fields.phone("account")), fields.optional_count("code") or NO_SERVICE
        connected = [device for device in phone.devices if device.is_connected]
        match fields.choice("change", Change):
            case Change.BREAK:
                how = fields.optional_choice("how", Break) or Break.STREAM_ERROR
                self._refuse_logins(phone, NO_SERVICE)
                for device in connected:
                    self._break(device, how, code)
            case Change.REFUSED:
                self._refuse_logins(phone, code, fields.seconds("seconds") or 0.0)
                for device in connected:
                    self._break(device, Break.STREAM_ERROR, NO_SERVICE)
            case Change.RESTORE:
                self._let_in(phone)
            case Change.LOGGED_OUT:
                for device in phone.devices:
                    await phone.unlink(device)
            case Change.REPLACED:
                if not connected:
                    raise NotPossible("no device of this number is connected, so there is none to replace")
                for device in connected:
                    self._server.faults.replace(device)
        return {}

    def _refuse_logins(self, phone: Phone, code: int, seconds: float = 0.0) -> None:
        """A failure that unlinks the device is said once: another device may be linked after it."""
        self._let_in(phone)
        times = 1 if code in REMOVED_CODES else None
        self._login_failures[phone.number] = self._server.faults.login_failure(
            phone, code, times=times, seconds=seconds
        )

    def _let_in(self, phone: Phone) -> None:
        if standing := self._login_failures.pop(phone.number, None):
            standing.end()

    def _break(self, device: Device, how: Break, code: int) -> None:
        faults = self._server.faults
        match how:
            case Break.STREAM_ERROR:
                faults.stream_error(device, code)
            case Break.RESET:
                faults.drop(device)
            case Break.HALF_CLOSE:
                faults.half_close(device)
            case Break.SILENCE:
                faults.fall_silent(device)

    def add_fault(self, fields: Fields) -> Json:
        kind, times = fields.choice("kind", FaultKind), fields.optional_count("times")
        account, contact = fields.optional_phone("account"), fields.optional_phone("contact")
        whom: dict[str, Any] = {
            "phone": None if account is None else self._phone_of(account),
            "contact": None if contact is None else self._contact(contact),
        }
        fault_id = max(self._faults, default=0) + 1
        asked = self._asked(kind, whom, times, fields.seconds("seconds") or 0.0, fields.optional_text("code") or "463")
        self._faults[fault_id] = kind, asked
        return {"fault_id": fault_id}

    def standing_faults(self, _fields: Fields) -> Json:
        return [
            {"fault_id": fault_id, "kind": kind, "times": None if fault.times is None else fault.times - fault.hits}
            for fault_id, (kind, fault) in self._faults.items()
        ]

    def _asked(self, kind: FaultKind, whom: dict[str, Any], times: int | None, seconds: float, code: str) -> Fault:
        faults = self._server.faults
        asked: dict[FaultKind, Callable[[], Fault]] = {
            FaultKind.DELAY_BEFORE: lambda: faults.late_answers("usync", seconds, phone=whom["phone"], times=times),
            FaultKind.DELAY_AFTER: lambda: faults.late_acks(seconds, times=times, **whom),
            FaultKind.DROP: lambda: faults.lose_frames(times=times, **whom),
            FaultKind.SILENT: lambda: faults.hold_acks(times=times, **whom),
            FaultKind.CUT: lambda: faults.drop_at_frame(times=times, **whom),
            FaultKind.REFUSE: lambda: faults.refuse(int(code), times=times, seconds=seconds, **whom),
            FaultKind.NOT_SENT: lambda: faults.no_bundle(_needed(whom["contact"]), times=times),
            FaultKind.REPEAT: lambda: faults.duplicate_delivery(times=times, **whom),
            FaultKind.LOSE_BACKLOG: lambda: faults.lose_backlog(times=times, **whom),
            FaultKind.UNREADABLE: lambda: faults.unavailable(_needed(whom["contact"]), times=times, answers=False),
            FaultKind.PHONE_OFF: lambda: faults.phone_off(phone=whom["phone"]),
            FaultKind.HOLD_RECEIPTS: lambda: faults.hold_receipts(whom["contact"]),
            FaultKind.DEAF: lambda: faults.deafen(phone=whom["phone"], times=times),
        }
        if kind not in asked:
            raise NotPossible(f"{kind.value} is the simulation's alone; over the wire there are {', '.join(asked)}")
        return asked[kind]()

    def clear_faults(self, fields: Fields) -> Json:
        wanted = fields.optional_count("fault_id")
        for fault_id in [known for known in self._faults if wanted in (None, known)]:
            self._faults.pop(fault_id)[1].end()
        return {}

    def change_settings(self, fields: Fields) -> Json:
        delay_s = fields.seconds("receipt_delay_s")
        if delay_s is not None:
            self._server.receipt_delay_s = delay_s
        return {"receipt_delay_s": self._server.receipt_delay_s}

    # Who is named

    def _contact(self, number: str) -> Contact:
        if number not in self._contacts:
            raise Unknown("there is no contact of this number")
        return self._contacts[number]

    def _group(self, name: str) -> Group:
        if name not in self._groups:
            raise Unknown("there is no group of this address")
        return self._groups[name]

    def _phone_of(self, number: str) -> Phone:
        if number not in self._phones:
            self._phones[number] = self._server.add_phone(number)
        return self._phones[number]

    def _linked(self, number: str) -> Phone:
        phone = self._phones.get(number)
        if phone is None or not phone.devices:
            raise Unknown("no account is linked to this number")
        return phone


async def _linked_by(pairing: Awaitable[Device]) -> Json:
    try:
        device = await pairing
    except PairingRefused as refused:
        raise NotPossible(str(refused)) from refused
    return {"account_id": device.phone.number}


def _needed(contact: Contact | None) -> Contact:
    if contact is None:
        raise Malformed("contact must be given")
    return contact


def _contact_row(contact: Contact) -> dict[str, object]:
    return {
        "phone": contact.number,
        "name": contact.name,
        "reads": contact.reads,
        "addressing": contact.addressing,
        "number_jid": str(contact.number_jid),
        "lid": str(contact.lid),
    }


def _frame(frame: WireFrame) -> Frame:
    return Frame(
        account=frame.account,
        contact=frame.contact,
        whatsapp_id=frame.id,
        text=frame.text or "",
        attempt=frame.attempt,
        recorded_at=frame.recorded_at,
    )


def _written(written: WireWritten) -> Written:
    return Written(
        account=written.account,
        contact=written.contact,
        whatsapp_id=written.id,
        text=written.text or "",
        timestamp_s=written.timestamp_s,
        from_me=written.from_me,
    )


def _filter(fields: Fields, *names: str) -> dict[str, object]:
    found = {name: fields.optional_text(name) for name in names}
    return {name: value for name, value in found.items() if value is not None}
