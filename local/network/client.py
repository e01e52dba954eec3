"""The network's control API for Python: tests and the demo play contacts and phones, and ask for trouble, through it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from local.control_client import ControlClient
from local.network.account import End, Opening
from local.network.contacts import Addressing, InboxMessage
from local.network.faults import Fault, FaultKind
from local.network.trouble import NO_SERVICE, Break, Change
from local.network.world import Frame, MarkedRead, Written

Receipt = Literal["sent", "delivered", "read"]


@dataclass(frozen=True, kw_only=True)
class AccountState:
    """An account at the engine. `unacknowledged` counts events, `offline` what waits until it is connected."""

    account_id: str
    phone: str | None
    epoch: int
    is_open: bool
    is_connected: bool
    unacknowledged: int
    offline: int


@dataclass(frozen=True, kw_only=True)
class ContactState:
    phone: str
    name: str
    reads: bool
    addressing: Addressing
    number_jid: str
    lid: str


class Network:
    """All numbers are +E.164: `contact` is a contact's, `account` the phone that an account is linked to. Blocking."""

    def __init__(self, control_port: int) -> None:
        self._control = ControlClient(control_port)

    # People and phones

    def add_contact(
        self, phone: str, name: str, *, reads: bool = False, addressing: Addressing = Addressing.NUMBER
    ) -> ContactState:
        """Adds a contact, or changes it (its inbox stays). `reads`: it opens each message at once."""
        row = self._control.post("/contact", phone=phone, name=name, reads=reads, addressing=addressing)
        return _contact(row)

    def scan(self, account: str, qr: str) -> str:
        """The phone of this number scans a QR code. Returns the accountId that is linked now."""
        return str(self._control.post("/scan", account=account, qr=qr)["account_id"])

    def link(self, account_id: str, account: str) -> None:
        """The account is this number's device, as if it had been paired in an earlier life. Not over the wire."""
        self._control.post("/link", account_id=account_id, account=account)

    def enter_code(self, account: str, code: str) -> str:
        """The phone of this number is given a pairing code. Returns the accountId that is linked now."""
        return str(self._control.post("/enter-code", account=account, code=code)["account_id"])

    def want_passkey(self, account: str) -> None:
        """The account of this number has a passkey, which WhatsApp wants from now on when a device is linked. Over the wire, `scan` and
        `enter_code` then return when it was used."""
        self._control.post("/want-passkey", account=account)

    def sign(self, account: str, options: str) -> str:
        """What a browser at web.whatsapp.com answers to a request, with this account's passkey: both in WebAuthn's JSON."""
        return str(self._control.post("/sign", account=account, options=options)["answer"])

    def fail_pairing(self, account_id: str) -> None:
        """The connection that shows the codes is cut. Over the wire: every one that does."""
        self._control.post("/fail-pairing", account_id=account_id)

    # Messages and receipts

    def write(
        self,
        contact: str,
        to: str,
        text: str | None = None,
        *,
        unsupported: str | None = None,
        whatsapp_id: str | None = None,
        addressing: Addressing | None = None,
    ) -> str:
        """A contact writes to an account's number: a text, or a message of another kind. Returns its WhatsApp id."""
        row = self._control.post(
            "/write",
            contact=contact,
            to=to,
            text=text,
            unsupported=unsupported,
            whatsapp_id=whatsapp_id,
            addressing=addressing,
        )
        return str(row["whatsapp_id"])

    def type_on_phone(self, account: str, contact: str, text: str, *, whatsapp_id: str | None = None) -> str:
        """The account's owner writes on the phone itself. Returns the message's WhatsApp id."""
        row = self._control.post("/type", account=account, contact=contact, text=text, whatsapp_id=whatsapp_id)
        return str(row["whatsapp_id"])

    def echo(self, account: str, contact: str, whatsapp_id: str) -> None:
        """WhatsApp shows the account a message of its own whose frame has arrived."""
        self._control.post("/echo", account=account, contact=contact, whatsapp_id=whatsapp_id)

    def send_receipt(
        self,
        contact: str,
        account: str,
        whatsapp_ids: Sequence[str],
        receipt: Receipt,
        *,
        addressing: Addressing | None = None,
    ) -> None:
        """Sends a receipt about any ids, true or not: an early one, a repeated one."""
        self._control.post(
            "/receipt",
            contact=contact,
            account=account,
            whatsapp_ids=list(whatsapp_ids),
            type=receipt,
            addressing=addressing,
        )

    def read(self, contact: str, account: str, whatsapp_ids: Sequence[str] | None = None) -> list[str]:
        """The contact opens the chat: one READ receipt for all it had not read (or for these). Returns the ids."""
        ids = None if whatsapp_ids is None else list(whatsapp_ids)
        opened: list[str] = self._control.post("/read", contact=contact, account=account, whatsapp_ids=ids)[
            "whatsapp_ids"
        ]
        return opened

    # The record

    def inbox(self, contact: str) -> list[InboxMessage]:
        """What the contact's app shows, each (sender, id) once, in the order of arrival."""
        return [InboxMessage(**row) for row in self._control.get("/inbox", contact=contact)]

    def frames(
        self, *, account: str | None = None, contact: str | None = None, whatsapp_id: str | None = None
    ) -> list[Frame]:
        """Every frame that reached WhatsApp, repeated ones too, in order."""
        rows = self._control.get("/frames", account=account, contact=contact, whatsapp_id=whatsapp_id)
        return [Frame(**{name: value for name, value in row.items() if name != "timestamp_s"}) for row in rows]

    def written(
        self, *, account: str | None = None, contact: str | None = None, whatsapp_id: str | None = None
    ) -> list[Written]:
        """Everything that contacts wrote, or that was typed on a phone, in order."""
        rows = self._control.get("/written", account=account, contact=contact, whatsapp_id=whatsapp_id)
        return [Written(**row) for row in rows]

    def marked(self, *, account: str | None = None, contact: str | None = None) -> list[MarkedRead]:
        """What accounts told contacts that they had read, in order."""
        return [MarkedRead(**row) for row in self._control.get("/marked", account=account, contact=contact)]

    def openings(self, account_id: str | None = None) -> list[Opening]:
        """Each time that a session was opened, in the order of time. Not over the wire."""
        rows = self._control.get("/openings", account_id=account_id)
        return [Opening(**{**row, "ended_by": row["ended_by"] and End(row["ended_by"])}) for row in rows]

    def accounts(self) -> dict[str, AccountState]:
        return {row["account_id"]: AccountState(**row) for row in self._control.get("/accounts")}

    def contacts(self) -> dict[str, ContactState]:
        return {row["phone"]: _contact(row) for row in self._control.get("/contacts")}

    # Trouble

    def fault(
        self,
        kind: FaultKind,
        *,
        account: str | None = None,
        contact: str | None = None,
        times: int | None = 1,
        seconds: float | None = None,
        code: str | None = None,
    ) -> int:
        """Asks for a fault, for the next `times` or (None) until it is cleared. Returns its id. FaultKind says what each does."""
        row = self._control.post(
            "/fault", kind=kind, account=account, contact=contact, times=times, seconds=seconds, code=code
        )
        return int(row["fault_id"])

    def faults(self) -> list[Fault]:
        """The faults that stand, with the times that are left. Over the wire, nothing more of them."""
        return [Fault(**{**row, "kind": FaultKind(row["kind"])}) for row in self._control.get("/faults")]

    def clear_faults(self, fault_id: int | None = None) -> None:
        """Ends one fault, or all; receipts that were held by it come now."""
        self._control.post("/clear-faults", fault_id=fault_id)

    def disconnect(self, account: str, how: Break = Break.STREAM_ERROR, code: int = NO_SERVICE) -> None:
        """The connection breaks, and none comes about until `reconnect`. `code` is the stream error's."""
        self._control.post("/connection", account=account, change=Change.BREAK, how=how, code=code)

    def refuse_logins(self, account: str, code: int, *, seconds: float | None = None) -> None:
        """The connection ends, and logins are answered with this failure until `reconnect`: 402 is a ban (for `seconds`, an
        hour unless given), 405 outdated.

        401 and 403 are said once: they unlink the device.
        """
        self._control.post("/connection", account=account, change=Change.REFUSED, code=code, seconds=seconds)

    def reconnect(self, account: str) -> None:
        """Logins are let in again; a session that has ended tries one only when it is opened again."""
        self._control.post("/connection", account=account, change=Change.RESTORE)

    def log_out(self, account: str) -> None:
        """The phone's owner unlinks the device."""
        self._control.post("/connection", account=account, change=Change.LOGGED_OUT)

    def replace(self, account: str) -> None:
        """Another program takes the session's place at WhatsApp."""
        self._control.post("/connection", account=account, change=Change.REPLACED)

    def change_settings(
        self,
        *,
        ack_timeout_s: float | None = None,
        code_lifetime_s: float | None = None,
        passkey_lifetime_s: float | None = None,
        receipt_delay_s: float | None = None,
    ) -> None:
        """Seconds: until a send without ack ends, how long a QR code is good, how long a passkey may be
        used, from a frame to its receipt."""
        self._control.post(
            "/settings",
            ack_timeout_s=ack_timeout_s,
            code_lifetime_s=code_lifetime_s,
            passkey_lifetime_s=passkey_lifetime_s,
            receipt_delay_s=receipt_delay_s,
        )

    def reset(self) -> None:
        """Forgets contacts, accounts, records, faults and changed settings; open streams end."""
        self._control.post("/reset")


def _contact(row: dict[str, Any]) -> ContactState:
    return ContactState(**{**row, "addressing": Addressing(row["addressing"])})
