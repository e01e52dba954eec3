"""WhatsApp and its people: who is linked, who writes to whom, and the record of what reached a contact."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from connector.contract.engine_pb2 import Event, MessageReceived, PairingEnded, ReceiptReceived
from local.network.account import Account, Incoming, Opening
from local.network.contacts import Addressing, Contact, InboxMessage
from local.network.faults import FaultBook, FaultKind
from local.network.pairing import Pairing
from local.network.passkey import Passkey
from local.network.trouble import Break, word
from local.refusals import NotPossible, Unknown

ReceiptType = ReceiptReceived.Type


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A message frame that reached WhatsApp. `attempt` counts the engine's sends of this id by this account, from 1."""

    account: str
    contact: str
    whatsapp_id: str
    text: str
    attempt: int
    recorded_at: float

    @property
    def timestamp_s(self) -> int:
        return int(self.recorded_at)


@dataclass(frozen=True, kw_only=True)
class Written:
    """A message that a contact wrote, or that was typed on an account's own phone (`from_me`)."""

    account: str
    contact: str
    whatsapp_id: str
    text: str
    timestamp_s: int
    from_me: bool


@dataclass(frozen=True, kw_only=True)
class MarkedRead:
    """An account has told a contact that these messages were read."""

    account: str
    contact: str
    whatsapp_ids: list[str]


class World:
    """Has no tasks and no timers of its own: everything happens when it is told. Numbers are +E.164 throughout."""

    def __init__(self, now: Callable[[], float], seed: int | None = None) -> None:
        self.now = now
        self.random = random.Random(seed)
        self._start_anew()

    def reset(self) -> None:
        """Forgets everything; open streams end."""
        for account in self.accounts.values():
            account.forget_stream()
        self._start_anew()

    def _start_anew(self) -> None:
        self.contacts: dict[str, Contact] = {}
        self.accounts: dict[str, Account] = {}
        self.faults = FaultBook()
        self.frames: list[Frame] = []
        self.written: list[Written] = []
        self.marked: list[MarkedRead] = []
        self.passkeys: dict[str, Passkey] = {}
        """By the phone's number: of accounts for which WhatsApp wants one when a device is linked."""
        self._unanswered: list[tuple[int, Account, str, str, int]] = []

    # People and accounts

    def put_contact(self, phone: str, name: str, *, reads: bool, addressing: Addressing) -> Contact:
        """Adds a contact, or changes what is known of one; its inbox stays."""
        contact = self.contacts.setdefault(phone, Contact(phone=phone, name=name))
        contact.name, contact.reads, contact.addressing = name, reads, addressing
        return contact

    def contact(self, phone: str) -> Contact:
        if phone not in self.contacts:
            raise Unknown("there is no contact of this number")
        return self.contacts[phone]

    def contact_of_chat(self, chat_jid: str) -> Contact | None:
        return next((c for c in self.contacts.values() if chat_jid in (c.number_jid, c.lid)), None)

    def account(self, account_id: str) -> Account:
        """The account as the engine's store has it; a new, empty one where it has none."""
        return self.accounts.setdefault(account_id, Account(account_id, self.faults, self.now))

    def linked(self, phone: str) -> list[Account]:
        """The accounts that are devices of this number."""
        found = [account for account in self.accounts.values() if account.is_linked_to(phone)]
        if not found:
            raise Unknown("no account is linked to this number")
        return found

    # Pairing

    def scan(self, phone: str, qr: str) -> Account:
        return self._pair(phone, qr, by_phone=None)

    def enter_code(self, phone: str, code: str) -> Account:
        return self._pair(phone, code, by_phone=phone)

    def link(self, account_id: str, phone: str) -> None:
        """The account is this number's device, as if it had been paired in an earlier life."""
        account = self.account(account_id)
        if phone in self.contacts:
            raise NotPossible("this number is a contact's")
        if account.is_open or account.phone is not None:
            raise NotPossible("the account is open, or paired already")
        account.phone = phone

    def openings(self) -> list[Opening]:
        """In the order of time."""
        found = [opening for account in self.accounts.values() for opening in account.openings]
        return sorted(found, key=lambda opening: opening.opened_at)

    def fail_pairing(self, account_id: str) -> None:
        """The connection that shows the codes is cut."""
        account = self.accounts.get(account_id)
        if account is None or account.pairing is None:
            raise NotPossible("the account is not being paired")
        account.end_pairing(PairingEnded.FAILED, word(Break.RESET, 0))

    def _pair(self, phone: str, code: str, by_phone: str | None) -> Account:
        if phone in self.contacts:
            raise NotPossible("this number is a contact's")
        for account in self.accounts.values():
            pairing = account.pairing
            if pairing is not None and pairing.phone == by_phone and pairing.accepts(code, self.now()):
                if phone in self.passkeys:
                    pairing.take_code(phone)
                else:
                    account.link(phone)
                return account
        raise NotPossible("no pairing shows this code now")

    def want_passkey(self, phone: str) -> None:
        """The account of this number has a passkey, which WhatsApp wants from now on."""
        self.passkeys.setdefault(phone, Passkey())

    def sign(self, phone: str, options: str) -> str:
        """What a browser at web.whatsapp.com answers to a request, with this account's passkey."""
        if phone not in self.passkeys:
            raise Unknown("the account of this number has no passkey")
        return self.passkeys[phone].sign(options)

    def new_pairing(self, phone: str | None) -> Pairing:
        return Pairing(phone=phone, random=self.random)

    # From contacts to accounts

    def write(
        self,
        contact_phone: str,
        to: str,
        *,
        text: str | None = None,
        unsupported: str | None = None,
        whatsapp_id: str | None = None,
        addressing: Addressing | None = None,
    ) -> Written:
        """A contact writes a text, or sends a message of another kind (the kind's name in `unsupported`)."""
        contact = self.contact(contact_phone)
        message = self._message(contact, addressing, whatsapp_id or self._new_id("3A"), text, unsupported)
        message.push_name = contact.name
        return self._announce(contact, to, message, from_me=False)

    def type_on_phone(self, account: str, contact_phone: str, text: str, whatsapp_id: str | None = None) -> Written:
        """The account's owner writes on the phone itself: the contact gets it, the linked devices learn of it."""
        contact = self.contact(contact_phone)
        message = self._message(contact, None, whatsapp_id or self._new_id("AC"), text, None)
        for device in self.linked(account):
            device.phone_seen()
        written = self._announce(contact, account, message, from_me=True)
        contact.receive(
            InboxMessage(sender=account, whatsapp_id=written.whatsapp_id, text=text, timestamp_s=written.timestamp_s)
        )
        return written

    def echo(self, account: str, contact_phone: str, whatsapp_id: str) -> None:
        """WhatsApp shows the account a message that it has sent itself."""
        frame = next(
            (f for f in self.frames if (f.account, f.contact, f.whatsapp_id) == (account, contact_phone, whatsapp_id)),
            None,
        )
        if frame is None:
            raise Unknown("no frame of this id reached the contact")
        for device in self.linked(account):
            self._echo_to(device, frame)

    def send_receipt(
        self,
        contact_phone: str,
        account: str,
        whatsapp_ids: list[str],
        receipt_type: ReceiptType.ValueType,
        addressing: Addressing | None = None,
    ) -> None:
        contact = self.contact(contact_phone)
        chat_jid, chat_other_jid = contact.names(addressing)
        receipt = ReceiptReceived(
            whatsapp_ids=whatsapp_ids,
            chat_jid=chat_jid,
            chat_other_jid=chat_other_jid,
            type=receipt_type,
            timestamp_s=int(self.now()),
        )
        event = Event(receipt=receipt, wire=receipt.SerializeToString())
        for device in self.linked(account):
            device.admit(Incoming(event=event, contact=contact_phone))

    def read(self, contact_phone: str, account: str, whatsapp_ids: list[str] | None = None) -> list[str]:
        """The contact opens the chat: what it had not read yet (or these ids) gets one READ receipt."""
        opened = self.contact(contact_phone).read(account, whatsapp_ids)
        if opened:
            self.send_receipt(contact_phone, account, opened, ReceiptReceived.READ)
        return opened

    def clear_faults(self, fault_id: int | None = None) -> None:
        """Ends a fault, or all of them, and hands over the receipts that they held."""
        cleared = self.faults.clear(fault_id)
        if fault_id is not None and not cleared:
            raise Unknown("there is no fault of this id")
        for account in self.accounts.values():
            account.release_receipts(cleared)
            account.unlock_reachout(cleared)
        self._switch_phones_on(cleared)

    # From accounts to contacts

    def take_frame(self, account: Account, contact: Contact, whatsapp_id: str, text: str, attempt: int) -> Frame:
        """A frame has reached WhatsApp: it is recorded, the contact has it, the number's other devices see it."""
        phone = account.phone
        if phone is None or not account.is_connected:
            raise NotPossible("the session is not connected")
        frame = Frame(
            account=phone,
            contact=contact.phone,
            whatsapp_id=whatsapp_id,
            text=text,
            attempt=attempt,
            recorded_at=self.now(),
        )
        self.frames.append(frame)
        contact.receive(InboxMessage(sender=phone, whatsapp_id=whatsapp_id, text=text, timestamp_s=frame.timestamp_s))
        for device in self.linked(phone):
            if device is not account:
                self._echo_to(device, frame)
        return frame

    def mark_read(self, account: Account, chat_jid: str, whatsapp_ids: list[str]) -> None:
        """Any ids, as WhatsApp takes them; a chat with nobody hears of nothing."""
        if account.phone is None or not account.is_connected:
            raise NotPossible("the session is not connected")
        contact = self.contact_of_chat(chat_jid)
        if contact is not None:
            self.marked.append(MarkedRead(account=account.phone, contact=contact.phone, whatsapp_ids=whatsapp_ids))

    def acknowledge_late(self, account: Account, frame: Frame, chat_jid: str) -> None:
        """WhatsApp's ack of a frame comes after its send has ended; only the connection that sent it would get it."""
        if account.is_connected:
            receipt = ReceiptReceived(
                whatsapp_ids=[frame.whatsapp_id],
                chat_jid=chat_jid,
                type=ReceiptReceived.SENT,
                timestamp_s=frame.timestamp_s,
            )
            account.admit(
                Incoming(event=Event(receipt=receipt, wire=receipt.SerializeToString()), contact=frame.contact)
            )

    # What the phone is asked for

    def ping_phone(self, account: Account) -> None:
        """A phone that is on answers at once; one that is off, when somebody types on it."""
        if account.phone is None or not account.is_connected:
            raise NotPossible("the session is not connected")
        if self.faults.take(FaultKind.PHONE_OFF, account.phone, "") is None:
            account.phone_seen()

    def ask_for_past(self, account: Account, chat_jid: str, whatsapp_id: str, count: int) -> None:
        """The phone hands over what came in a chat before a message that it knows; one that is off, when it is on again."""
        if account.phone is None or not account.is_connected:
            raise NotPossible("the session is not connected")
        off = self.faults.take(FaultKind.PHONE_OFF, account.phone, "")
        if off is not None:
            self._unanswered.append((off.fault_id, account, chat_jid, whatsapp_id, count))
            return
        contact = self.contact_of_chat(chat_jid)
        chat = [
            written
            for written in self.written
            if contact is not None and (written.account, written.contact) == (account.phone, contact.phone)
        ]
        known = [place for place, written in enumerate(chat) if written.whatsapp_id == whatsapp_id]
        if contact is None or not known:
            return
        chat_jid, chat_other_jid = contact.names()
        for written in chat[: known[-1]][-count:]:
            message = MessageReceived(
                whatsapp_id=written.whatsapp_id,
                chat_jid=chat_jid,
                chat_other_jid=chat_other_jid,
                from_me=written.from_me,
                push_name="" if written.from_me else contact.name,
                timestamp_s=written.timestamp_s,
                text=written.text,
            )
            account.hand_over_past(message)

    def _switch_phones_on(self, cleared: list[int]) -> None:
        waiting = [asked for asked in self._unanswered if asked[0] in cleared]
        self._unanswered = [asked for asked in self._unanswered if asked[0] not in cleared]
        for _, account, chat_jid, whatsapp_id, count in waiting:
            if account.is_connected:
                self.ask_for_past(account, chat_jid, whatsapp_id, count)

    # What befalls a session

    def break_connection(self, phone: str, how: Break, code: int) -> None:
        for account in self.linked(phone):
            account.break_connection(word(how, code))

    def restore_connection(self, phone: str) -> None:
        """Logins are let in again."""
        for account in self.linked(phone):
            account.let_in()

    def refuse_logins(self, phone: str, code: int, ban_s: float) -> None:
        for account in self.linked(phone):
            account.refuse_logins(code, ban_s)

    def remove_device(self, phone: str) -> None:
        for account in self.linked(phone):
            account.remove()

    def replace_session(self, phone: str) -> None:
        for account in self.linked(phone):
            account.replace()

    def _message(
        self,
        contact: Contact,
        addressing: Addressing | None,
        whatsapp_id: str,
        text: str | None,
        unsupported: str | None,
    ) -> MessageReceived:
        chat_jid, chat_other_jid = contact.names(addressing)
        message = MessageReceived(
            whatsapp_id=whatsapp_id,
            chat_jid=chat_jid,
            chat_other_jid=chat_other_jid,
            timestamp_s=int(self.now()),
        )
        if text is not None:
            message.text = text
        else:
            message.unsupported = unsupported or ""
        return message

    def _announce(self, contact: Contact, account: str, message: MessageReceived, *, from_me: bool) -> Written:
        devices = self.linked(account)
        message.from_me = from_me
        written = Written(
            account=account,
            contact=contact.phone,
            whatsapp_id=message.whatsapp_id,
            text=message.text,
            timestamp_s=message.timestamp_s,
            from_me=from_me,
        )
        self.written.append(written)
        event = Event(message=message, wire=message.SerializeToString())
        for device in devices:
            device.admit(Incoming(event=event, contact=contact.phone))
        return written

    def _echo_to(self, device: Account, frame: Frame) -> None:
        chat_jid, chat_other_jid = self.contact(frame.contact).names()
        message = MessageReceived(
            whatsapp_id=frame.whatsapp_id,
            chat_jid=chat_jid,
            chat_other_jid=chat_other_jid,
            from_me=True,
            timestamp_s=frame.timestamp_s,
            text=frame.text,
        )
        event = Event(message=message, wire=message.SerializeToString())
        device.admit(Incoming(event=event, contact=frame.contact))

    def _new_id(self, prefix: str) -> str:
        return prefix + "".join(self.random.choices("0123456789ABCDEF", k=18))
