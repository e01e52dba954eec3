"""The server as tests use it: start it, add people, make them act, look at what passed."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeVar

from tests.whatsapp.certificates import noise_chain, tls_context
from tests.whatsapp.confirmations import ack_received, receipt_received
from tests.whatsapp.connection import Connection
from tests.whatsapp.contact import Addressing, Contact
from tests.whatsapp.device import Device
from tests.whatsapp.faults import Faults
from tests.whatsapp.groups import GROUP_SERVER, Group
from tests.whatsapp.jid import Jid
from tests.whatsapp.keys import KeyPair
from tests.whatsapp.listener import HOSTS, Listener, Receiver, WebSocket
from tests.whatsapp.login import connection_opened
from tests.whatsapp.node import Node
from tests.whatsapp.noise import STREAM_HEADER, Responder
from tests.whatsapp.phone import Phone
from tests.whatsapp.presence import presence_received
from tests.whatsapp.record import Frame, Login, Overtaken, PresenceSeen, Problem, ReceiptSeen, Stanza, Written
from tests.whatsapp.requests import request_received
from tests.whatsapp.sends import message_received
from tests.whatsapp.versions import Versions
from tests.whatsapp.world import World

_GRACE_S: Final = 3.0

Found = TypeVar("Found")


class ServerFoundProblems(AssertionError):
    """A client did what it should not do, or what this server does not know."""


class WhatsAppServer:
    """Loopback only, all in memory. Use as an async context manager; leaving it without an error checks for problems."""

    def __init__(self, *, tls: bool = False, port: int = 0) -> None:
        self.tls = tls
        self.port = port
        """0 until it has started, unless one was asked for."""
        self._root, self._static = KeyPair(), KeyPair()
        self._certificates = noise_chain(self._root, self._static)
        self._world = World()
        self.media = self._world.media
        self._listener: Listener | None = None
        self._folder: Path | None = None
        self._ca_file: Path | None = None
        self.faults = Faults(self._world.faults, self._world.connections)

    # Life

    async def start(self) -> None:
        context = None
        if self.tls:
            self._folder = Path(tempfile.mkdtemp(prefix="whatsapp-server-"))
            context, self._ca_file = tls_context(HOSTS, self._folder)
        self._listener = Listener(self._accept, self._refuses_connection, context, self._page, self.media.find)
        self.port = await self._listener.start(self.port)

    async def stop(self) -> None:
        if self._listener is not None:
            await self._listener.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.settle()
                self.check()
        finally:
            await self.stop()

    @property
    def root_key(self) -> str:
        """The Noise root key that a client must trust, in hex."""
        return self._root.public.hex()

    @property
    def ca_file(self) -> Path | None:
        """The TLS authority that a client must trust; None without TLS."""
        return self._ca_file

    def environment(self) -> dict[str, str]:
        """What sends an engine of the wiretest build here."""
        environment = {"WIRE_SERVER": f"127.0.0.1:{self.port}", "WIRE_ROOT": self.root_key}
        if self._ca_file is not None:
            environment["WIRE_CA"] = str(self._ca_file)
        return environment

    # People

    def add_phone(self, number: str, name: str = "Shop") -> Phone:
        """An account holder's phone. Numbers are +E.164."""
        phone = Phone(self._world, number, name)
        self._world.add(phone)
        return phone

    def add_contact(
        self, number: str, name: str = "Ana", addressing: Addressing = "number", reads: bool = False
    ) -> Contact:
        contact = Contact(self._world, number, name, addressing=addressing, reads=reads)
        self._world.add(contact)
        return contact

    def add_group(
        self, name: str, phone: Phone, members: Sequence[Contact], *, addressing: Literal["lid", "pn"] = "lid"
    ) -> Group:
        """A group of an account and contacts. The address counts up."""
        jid = Jid(f"12036300000000{len(self._world.groups):04d}", GROUP_SERVER)
        group = Group(jid=jid, name=name, phone=phone, members=members, addressing=addressing)
        self._world.groups[str(jid)] = group
        return group

    @property
    def group_queries(self) -> list[Jid]:
        """The groups that clients asked for, each time."""
        return self._world.group_queries

    @property
    def phones(self) -> list[Phone]:
        return [person for person in self._world.people if isinstance(person, Phone)]

    @property
    def contacts(self) -> list[Contact]:
        return [person for person in self._world.people if isinstance(person, Contact)]

    @property
    def devices(self) -> list[Device]:
        return [device for phone in self.phones for device in phone.devices]

    @property
    def receipt_delay_s(self) -> float:
        """How long contacts take to say that a message was delivered, or read."""
        return self._world.receipt_delay_s

    @receipt_delay_s.setter
    def receipt_delay_s(self, seconds: float) -> None:
        self._world.receipt_delay_s = seconds

    @property
    def connection_count(self) -> int:
        """Clients that are connected now, paired or not."""
        return len(self._world.connections)

    # What passed

    def frames(
        self,
        account: Phone | str | None = None,
        contact: Contact | str | None = None,
        id: str | None = None,  # noqa: A002 - the word that tests use
    ) -> list[Frame]:
        """Every message frame of a device to a contact that arrived, in order."""
        account_number, contact_number = _number(account), _number(contact)
        return [
            frame
            for frame in self._world.record.frames
            if account_number in (None, frame.account)
            and contact_number in (None, frame.contact)
            and id in (None, frame.id)
        ]

    @property
    def written(self) -> list[Written]:
        """Everything that contacts wrote, or that was typed on a phone."""
        return self._world.record.written

    @property
    def receipts(self) -> list[ReceiptSeen]:
        """The read receipts that devices sent to contacts."""
        return self._world.record.receipts

    @property
    def overtaken(self) -> list[Overtaken]:
        """What was taken from a connection although its device had logged in on another since: two owners of one session."""
        return self._world.record.overtaken

    @property
    def logins(self) -> list[Login]:
        """Every login, in its order, and when stanzas were taken from its connection."""
        return self._world.record.logins

    @property
    def refused_hosts(self) -> list[str]:
        """Hosts that a client asked the proxy for and did not get."""
        return [] if self._listener is None else self._listener.refused

    @property
    def stanzas(self) -> list[Stanza]:
        """The latest stanzas on the wire, for a person who looks; after `keep_stanzas`."""
        return list(self._world.record.stanzas)

    def keep_stanzas(self) -> None:
        self._world.record.keeps_stanzas = True

    @property
    def presences(self) -> list[PresenceSeen]:
        """What devices said of themselves: the name, and whether somebody looks at them."""
        return self._world.record.presences

    @property
    def versions(self) -> Versions:
        """Which version of WhatsApp Web the page names, and which versions are let in."""
        return self._world.versions

    # Waiting and checking

    async def until(
        self,
        find: Callable[[], Found | None],
        timeout: float = 15.0,  # noqa: ASYNC109 - a condition's, with words of its own when it passes
        *,
        what: str = "the condition",
    ) -> Found:
        """The first thing found that counts as true; looks again whenever something happened. Raises TimeoutError."""
        return await self._world.until(find, timeout, what=what)

    @property
    def problems(self) -> list[Problem]:
        return self._world.record.problems

    def forgive(self, kind: str) -> None:
        """Problems of this kind are what the test is about."""
        self._world.record.forgive(kind)

    async def settle(self, within_s: float = _GRACE_S) -> None:
        """Waits until connected devices have confirmed all that they got; what is left then is a problem (`unanswered`)."""
        try:
            await self.until(lambda: not self._unanswered(), within_s)
        except TimeoutError:
            for device, stanzas in self._unanswered():
                self._world.record.add_problem("unanswered", f"{device}: {len(stanzas)}, the first is {stanzas[0]}")

    def check(self) -> None:
        """Raises ServerFoundProblems."""
        if self.problems:
            raise ServerFoundProblems("\n".join(str(problem) for problem in self.problems))

    def _unanswered(self) -> list[tuple[Device, list[Node]]]:
        ready = (device for device in self.devices if device.is_ready)
        return [(device, device.waiting.stanzas) for device in ready if len(device.waiting)]

    # Connections

    def _accept(self, socket: WebSocket) -> Receiver:
        responder = Responder(STREAM_HEADER, self._static, self._certificates)
        connection = Connection(self._world, socket, responder, opened=connection_opened, handle=self._stanza_received)
        self._world.connections.add(connection)
        return connection

    def _refuses_connection(self) -> bool:
        return self._world.faults.take("refuse_connections") is not None

    def _page(self) -> bytes | None:
        return self._world.versions.page()

    @staticmethod
    def _stanza_received(connection: Connection, node: Node) -> None:
        if connection.logged is not None:
            connection.logged.note(time.time())
        _note_overtaken(connection, node)
        match node.tag:
            case "iq":
                request_received(connection, node)
            case "message":
                message_received(connection, node)
            case "receipt":
                receipt_received(connection, node)
            case "ack":
                ack_received(connection, node)
            case "call":
                connection.acknowledge(node)
            case "presence":
                presence_received(connection, node)
            case "ib" | "chatstate":
                pass  # telemetry and typing: nothing is answered
            case _:
                connection.world.record.add_problem("unknown_stanza", str(node))


def _note_overtaken(connection: Connection, node: Node) -> None:
    device = connection.device
    if device is not None and connection.login < device.logins:
        connection.world.record.overtaken.append(
            Overtaken(
                account=device.phone.number,
                tag=node.tag,
                login=connection.login,
                latest_login=device.logins,
                at=time.time(),
            )
        )


def _number(person: Phone | Contact | str | None) -> str | None:
    return person.number if isinstance(person, (Phone, Contact)) else person
