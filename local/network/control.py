"""The control API: how tests and the demo play the contacts, hold the phones, and make the network misbehave."""

from dataclasses import asdict, replace

from aiohttp import web

from connector.contract.engine_pb2 import ReceiptReceived
from local.control_api import Fields, Handler, Json, control_application
from local.network.account import Account
from local.network.code_display import CodeDisplay
from local.network.contacts import Addressing, Contact
from local.network.faults import NEEDS_SECONDS, FaultKind
from local.network.sending import Sender, Settings
from local.network.trouble import BAN_S, NO_SERVICE, Break, Change
from local.network.world import World
from local.refusals import Malformed

_RECEIPTS = {"delivered": ReceiptReceived.DELIVERED, "read": ReceiptReceived.READ, "sent": ReceiptReceived.SENT}


class Control:
    """Each method below is one call of the API; README.md lists them in a table."""

    def __init__(self, world: World, sender: Sender, codes: CodeDisplay, settings: Settings) -> None:
        self._world = world
        self._sender = sender
        self._codes = codes
        self._settings = settings
        self._initial_settings = replace(settings)

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
            ("GET", "/marked", self.marked, "account contact"),
            ("GET", "/faults", self.faults, ""),
            ("GET", "/openings", self.openings, "account_id"),
            ("POST", "/contact", self.put_contact, "phone name reads addressing"),
            ("POST", "/scan", self.scan, "account qr"),
            ("POST", "/enter-code", self.enter_code, "account code"),
            ("POST", "/want-passkey", self.want_passkey, "account"),
            ("POST", "/sign", self.sign, "account options"),
            ("POST", "/link", self.link, "account_id account"),
            ("POST", "/fail-pairing", self.fail_pairing, "account_id"),
            ("POST", "/write", self.write, "contact to text unsupported whatsapp_id addressing"),
            ("POST", "/type", self.type_on_phone, "account contact text whatsapp_id"),
            ("POST", "/echo", self.echo, "account contact whatsapp_id"),
            ("POST", "/receipt", self.receipt, "contact account whatsapp_ids type addressing"),
            ("POST", "/read", self.read, "contact account whatsapp_ids"),
            ("POST", "/connection", self.connection, "account change how code seconds"),
            ("POST", "/fault", self.add_fault, "kind account contact times seconds code"),
            ("POST", "/clear-faults", self.clear_faults, "fault_id"),
            (
                "POST",
                "/settings",
                self.change_settings,
                "ack_timeout_s code_lifetime_s passkey_lifetime_s receipt_delay_s",
            ),
            ("POST", "/reset", self.reset, ""),
        ]

    # What there is

    def accounts(self, _fields: Fields) -> Json:
        return [_account_row(account) for account in self._world.accounts.values()]

    def contacts(self, _fields: Fields) -> Json:
        return [_contact_row(contact) for contact in self._world.contacts.values()]

    def inbox(self, fields: Fields) -> Json:
        contact = self._world.contact(fields.phone("contact"))
        return [asdict(message) for message in contact.inbox]

    def frames(self, fields: Fields) -> Json:
        wanted = _filter(fields, "account", "contact", "whatsapp_id")
        rows = ({**asdict(frame), "timestamp_s": frame.timestamp_s} for frame in self._world.frames)
        return [row for row in rows if wanted.items() <= row.items()]

    def written(self, fields: Fields) -> Json:
        wanted = _filter(fields, "account", "contact", "whatsapp_id")
        return [row for row in map(asdict, self._world.written) if wanted.items() <= row.items()]

    def marked(self, fields: Fields) -> Json:
        wanted = _filter(fields, "account", "contact")
        return [row for row in map(asdict, self._world.marked) if wanted.items() <= row.items()]

    def faults(self, _fields: Fields) -> Json:
        return [asdict(fault) for fault in self._world.faults.all()]

    def openings(self, fields: Fields) -> Json:
        wanted = _filter(fields, "account_id")
        return [row for row in map(asdict, self._world.openings()) if wanted.items() <= row.items()]

    # People

    def put_contact(self, fields: Fields) -> Json:
        contact = self._world.put_contact(
            fields.phone("phone"),
            fields.text("name"),
            reads=fields.flag("reads", default=False),
            addressing=fields.optional_choice("addressing", Addressing) or Addressing.NUMBER,
        )
        return _contact_row(contact)

    def scan(self, fields: Fields) -> Json:
        return {"account_id": self._world.scan(fields.phone("account"), fields.text("qr")).account_id}

    def enter_code(self, fields: Fields) -> Json:
        return {"account_id": self._world.enter_code(fields.phone("account"), fields.text("code")).account_id}

    def want_passkey(self, fields: Fields) -> Json:
        self._world.want_passkey(fields.phone("account"))
        return {}

    def sign(self, fields: Fields) -> Json:
        return {"answer": self._world.sign(fields.phone("account"), fields.text("options"))}

    def link(self, fields: Fields) -> Json:
        self._world.link(fields.text("account_id"), fields.phone("account"))
        return {}

    def fail_pairing(self, fields: Fields) -> Json:
        self._world.fail_pairing(fields.text("account_id"))
        return {}

    def write(self, fields: Fields) -> Json:
        text, unsupported = fields.optional_text("text"), fields.optional_text("unsupported")
        if (text is None) == (unsupported is None):
            raise Malformed("exactly one of text and unsupported must be given")
        written = self._world.write(
            fields.phone("contact"),
            fields.phone("to"),
            text=text,
            unsupported=unsupported,
            whatsapp_id=fields.optional_text("whatsapp_id"),
            addressing=fields.optional_choice("addressing", Addressing),
        )
        return asdict(written)

    def type_on_phone(self, fields: Fields) -> Json:
        written = self._world.type_on_phone(
            fields.phone("account"),
            fields.phone("contact"),
            fields.text("text"),
            fields.optional_text("whatsapp_id"),
        )
        return asdict(written)

    def echo(self, fields: Fields) -> Json:
        self._world.echo(fields.phone("account"), fields.phone("contact"), fields.text("whatsapp_id"))
        return {}

    def receipt(self, fields: Fields) -> Json:
        name = fields.text("type")
        if name not in _RECEIPTS:
            raise Malformed(f"type must be one of {', '.join(_RECEIPTS)}")
        self._world.send_receipt(
            fields.phone("contact"),
            fields.phone("account"),
            fields.texts("whatsapp_ids"),
            _RECEIPTS[name],
            fields.optional_choice("addressing", Addressing),
        )
        return {}

    def read(self, fields: Fields) -> Json:
        opened = self._world.read(
            fields.phone("contact"), fields.phone("account"), fields.optional_texts("whatsapp_ids")
        )
        return {"whatsapp_ids": opened}

    # Trouble

    def connection(self, fields: Fields) -> Json:
        phone, code = fields.phone("account"), fields.optional_count("code") or NO_SERVICE
        match fields.choice("change", Change):
            case Change.BREAK:
                how = fields.optional_choice("how", Break) or Break.STREAM_ERROR
                self._world.break_connection(phone, how, code)
            case Change.REFUSED:
                self._world.refuse_logins(phone, code, fields.seconds("seconds") or BAN_S)
            case Change.RESTORE:
                self._world.restore_connection(phone)
            case Change.LOGGED_OUT:
                self._world.remove_device(phone)
            case Change.REPLACED:
                self._world.replace_session(phone)
        return {}

    def add_fault(self, fields: Fields) -> Json:
        kind = fields.choice("kind", FaultKind)
        seconds = fields.seconds("seconds")
        if kind is not FaultKind.REFUSE and (seconds is None) == (kind in NEEDS_SECONDS):
            needed = ", ".join(sorted(NEEDS_SECONDS))
            raise Malformed(f"seconds must be given with {needed}, may be with refuse, and with no other kind")
        code = fields.optional_text("code")
        if code is not None and kind is not FaultKind.REFUSE:
            raise Malformed("code belongs to refuse alone")
        fault = self._world.faults.add(
            kind,
            account=fields.optional_phone("account"),
            contact=fields.optional_phone("contact"),
            times=fields.optional_count("times"),
            seconds=seconds or 0.0,
            code=code or "463",
        )
        return asdict(fault)

    def clear_faults(self, fields: Fields) -> Json:
        self._world.clear_faults(fields.optional_count("fault_id"))
        return {}

    def change_settings(self, fields: Fields) -> Json:
        names = ("ack_timeout_s", "code_lifetime_s", "passkey_lifetime_s", "receipt_delay_s")
        changes = {name: fields.seconds(name) for name in names}
        self._change_settings({name: value for name, value in changes.items() if value is not None})
        return asdict(self._settings)

    def _change_settings(self, changes: dict[str, float]) -> None:
        for name, value in changes.items():
            setattr(self._settings, name, value)

    def reset(self, _fields: Fields) -> Json:
        self._sender.reset()
        self._codes.reset()
        self._world.reset()
        self._change_settings(asdict(self._initial_settings))
        return {}


def _filter(fields: Fields, *names: str) -> dict[str, object]:
    found = {name: fields.optional_text(name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _account_row(account: Account) -> dict[str, object]:
    return {
        "account_id": account.account_id,
        "phone": account.phone,
        "epoch": account.epoch,
        "is_open": account.is_open,
        "is_connected": account.is_connected,
        "unacknowledged": len(account.unacknowledged),
        "offline": len(account.offline),
    }


def _contact_row(contact: Contact) -> dict[str, object]:
    return {
        "phone": contact.phone,
        "name": contact.name,
        "reads": contact.reads,
        "addressing": str(contact.addressing),
        "number_jid": contact.number_jid,
        "lid": contact.lid,
    }
