"""The account holder's phone: links devices, writes itself, and serves what linked devices ask of it."""

import time
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from local.network.passkey import Passkey
from tests.whatsapp import pairing, pairing_code
from tests.whatsapp.app_state import AppState
from tests.whatsapp.jid import Jid
from tests.whatsapp.media_host import Upload
from tests.whatsapp.node import Attribute, Node
from tests.whatsapp.outbound import deliver_message
from tests.whatsapp.person import Person, new_message_id, text_message, text_of
from tests.whatsapp.protobufs import e2e, history, sync_action, web
from tests.whatsapp.record import Frame, Written

if TYPE_CHECKING:
    from tests.whatsapp.contact import Contact
    from tests.whatsapp.device import Device
    from tests.whatsapp.world import World


class Phone(Person):
    def __init__(self, world: "World", number: str, name: str) -> None:
        super().__init__(world, number, name)
        self.app_state = AppState()
        self.shares_app_state = True
        """Whether it gives a device that it links the key to the app state, as phones do."""
        self.passkey: Passkey | None = None
        """Wanted of whoever links a device. None: WhatsApp does not ask for it."""
        self.announced_name = "-"
        """The account's name as contacts see it: what a linked device has announced."""
        self.answers_requests = True
        """Whether it is on, and hands over messages that linked devices could not read."""
        self.requests: list[Any] = []
        """The peer requests that its linked devices made: e2e.PeerDataOperationRequestMessage."""
        self.key_requests = 0
        """How often its linked devices asked for the key to the app state."""
        self.copies: list[str] = []
        """The ids of the messages that linked devices sent, as they reached the phone."""
        self.uploads: list[Upload] = []
        """What it has put on the media host."""
        self.past: list[tuple[Contact, list[Written]]] = []
        """Conversations that it hands over by itself to a device that it links, each in a chunk of its own."""
        self._devices: dict[int, Device] = {}
        self._next_device = 1
        self._received: dict[str, tuple[Contact, Written, dict[str, Attribute]]] = {}
        self.rename(name)

    # Linked devices

    @property
    def devices(self) -> "list[Device]":
        return list(self._devices.values())

    def device(self, number: int) -> "Device | None":
        return self._devices.get(number)

    async def scan(self, qr: str) -> "Device":
        """Scans a QR code that a client shows. Raises PairingRefused."""
        return await pairing.scan(self, qr)

    async def enter_code(self, code: str) -> "Device":
        """Types the code that a client shows for this phone's number. Raises PairingRefused."""
        return await pairing_code.enter(self, code)

    def next_device_number(self) -> int:
        number, self._next_device = self._next_device, self._next_device + 1
        return number

    def link(self, device: "Device") -> None:
        self._devices[device.number] = device

    def forget(self, device: "Device") -> None:
        """The server's part of unlinking, whoever asked for it."""
        self._devices.pop(device.number, None)

    async def unlink(self, device: "Device") -> None:
        """The owner removes the device; if it is connected it is told, else when it comes back."""
        self.forget(device)
        if device.connection is not None:
            conflict = Node("conflict", {"type": "device_removed"})
            await device.connection.end_and_wait(Node("stream:error", {"code": 401}, [conflict]))

    # Messages

    async def write(
        self,
        contact: "Contact",
        text: str,
        id: str | None = None,  # noqa: A002 - the word that tests use
    ) -> Written:
        """The owner writes on the phone itself: the contact gets it, linked devices get a copy."""
        return await self.write_message(contact, text_message(text), id)

    async def write_message(
        self,
        contact: "Contact",
        message: Any,
        id: str | None = None,  # noqa: A002 - the word that tests use
    ) -> Written:
        """As `write`, with any e2e.Message."""
        message_id, now = id or new_message_id(), time.time()
        written = Written(
            account=self.number,
            contact=contact.number,
            id=message_id,
            text=text_of(message),
            message=message,
            from_me=True,
            written_at=now,
        )
        self.world.record.written.append(written)
        contact.show(self.number, message_id, message)
        by_number = contact.addressing in ("number", "number_only")
        attributes: dict[str, Attribute] = {
            "from": self.lid,
            "recipient": contact.number_jid if by_number else contact.lid,
            "id": message_id,
            "type": "text",
            "t": int(now),
            "notify": self.name,
        }
        if contact.addressing == "number":
            attributes["peer_recipient_lid"] = contact.lid
        elif contact.addressing == "lid":
            attributes["peer_recipient_pn"] = contact.number_jid
        deliver_message(self, self, _sent_copy(contact, message), attributes)
        for device in self.devices:
            contact.message_arrived(device, message_id)
        self.world.notify()
        return written

    async def echo(self, frame: Frame) -> None:
        """Linked devices are shown a message that one of them sent, under its own id. Raises ValueError if nobody could read it."""
        contact = self.world.person(Jid(frame.contact.removeprefix("+")))
        if contact is None or frame.message is None:
            raise ValueError("there is nothing to show of this frame")
        attributes: dict[str, Attribute] = {
            "from": self.lid,
            "recipient": contact.lid,
            "peer_recipient_pn": contact.number_jid,
            "id": frame.id,
            "type": "text",
            "t": frame.timestamp_s,
        }
        deliver_message(self, self, _sent_copy(contact, frame.message), attributes)
        self.world.notify()

    def look_at(self, contact: "Contact", ids: Sequence[str], *, in_secret: bool = False) -> None:
        """The phone's owner opens a chat: the linked devices are told which messages were read. `in_secret`: contacts are not told."""
        others = [Node("item", {"id": message_id}) for message_id in ids[1:]]
        attributes: dict[str, Attribute] = {
            "from": self.lid,
            "recipient": contact.lid,
            "id": ids[0],
            "type": "read-self" if in_secret else "read",
            "t": int(time.time()),
        }
        for device in self.devices:
            device.deliver(Node("receipt", attributes, [Node("list", {}, others)] if others else None))
        self.world.notify()

    def remember(self, contact: "Contact", written: Written, attributes: dict[str, Attribute]) -> None:
        """A contact's message has reached the phone too."""
        self._received[written.id] = (contact, written, attributes)

    def lose(self, message_id: str) -> None:
        """The phone cannot hand this message over."""
        self._received.pop(message_id, None)

    # What the phone says to its linked devices

    async def send_history(
        self,
        device: "Device",
        *,
        mappings: "Iterable[Contact]" = (),
        conversations: "Iterable[tuple[Contact, Iterable[Written]]]" = (),
        sync_type: str = "RECENT",
        timers: "Iterable[tuple[str, tuple[int, int]]]" = (),
        upload: bool = False,
    ) -> str:
        """A history sync: who has which LID, and past conversations, and by number their timers
        for disappearing messages (seconds, and when they were set). Answers the peer message's id.

        It comes within the notification, or, with `upload`, lies on the media host.
        """
        data = history.HistorySync(syncType=history.HistorySync.HistorySyncType.Value(sync_type))
        for contact in mappings:
            data.phoneNumberToLidMappings.add(pnJID=str(contact.number_jid), lidJID=str(contact.lid))
        for contact, messages in conversations:
            conversation = data.conversations.add(ID=str(contact.lid))
            if timer := dict(timers).get(contact.number):
                conversation.ephemeralExpiration, conversation.ephemeralSettingTimestamp = timer
            for written in messages:
                conversation.messages.add().message.CopyFrom(_web_message(contact, written, str(contact.lid)))
        return self._send_history(device, data, upload=upload)

    def _send_history(self, device: "Device", data: Any, *, upload: bool = False) -> str:
        message = e2e.Message()
        protocol = message.protocolMessage
        protocol.type = e2e.ProtocolMessage.HISTORY_SYNC_NOTIFICATION
        protocol.historySyncNotification.syncType = data.syncType
        content = zlib.compress(data.SerializeToString())
        if upload:
            uploaded = self.world.media.upload_history(content)
            self.uploads.append(uploaded)
            protocol.historySyncNotification.directPath = uploaded.direct_path
            protocol.historySyncNotification.mediaKey = uploaded.media_key
            protocol.historySyncNotification.fileSHA256 = uploaded.sha256
            protocol.historySyncNotification.fileEncSHA256 = uploaded.encrypted_sha256
            protocol.historySyncNotification.fileLength = uploaded.size
        else:
            protocol.historySyncNotification.initialHistBootstrapInlinePayload = content
        return self.send_peer_message(device, message)

    def send_past(self, device: "Device", contact: Any, past: "Iterable[Written]") -> None:
        """The answer to a request for history, the newest message first."""
        data = history.HistorySync(syncType=history.HistorySync.ON_DEMAND)
        conversation = data.conversations.add(ID=str(contact.lid))
        for written in reversed(list(past)):
            conversation.messages.add().message.CopyFrom(_web_message(contact, written, str(contact.lid)))
        self._send_history(device, data)

    def greet(self, device: "Device") -> None:
        """A phone speaks first to a device that it has just linked, so that both have a session with each other."""
        message = e2e.Message()
        message.protocolMessage.type = e2e.ProtocolMessage.INITIAL_SECURITY_NOTIFICATION_SETTING_SYNC
        message.protocolMessage.initialSecurityNotificationSettingSync.securityNotificationEnabled = False
        self.send_peer_message(device, message)
        if self.shares_app_state:
            self.send_peer_message(device, self.app_state.key_share())
        for place, (contact, past) in enumerate(self.past):
            kind = history.HistorySync.INITIAL_BOOTSTRAP if place == 0 else history.HistorySync.RECENT
            progress = 100 * (place + 1) // len(self.past)
            data = history.HistorySync(syncType=kind, chunkOrder=place + 1, progress=progress)
            data.phoneNumberToLidMappings.add(pnJID=str(contact.number_jid), lidJID=str(contact.lid))
            conversation = data.conversations.add(ID=str(contact.lid))
            for written in reversed(past):
                conversation.messages.add().message.CopyFrom(_web_message(contact, written, str(contact.lid)))
            self._send_history(device, data)

    def rename(self, name: str) -> None:
        """The owner changes the name that contacts see. Linked devices learn it from the app state."""
        self.name = name
        action = sync_action.SyncActionValue(timestamp=int(time.time() * 1000))
        action.pushNameSetting.name = name
        collection = self.app_state.set("critical_block", ["setting_pushName"], action)
        for device in self.devices:
            attributes: dict[str, Attribute] = {
                "from": self.number_jid,
                "type": "server_sync",
                "id": self.world.new_id(),
                "t": int(time.time()),
            }
            changed = Node("collection", {"name": collection.name, "version": collection.version})
            device.deliver(Node("notification", attributes, [changed]))

    def send_peer_message(self, device: "Device", message: Any) -> str:
        message_id = new_message_id()
        attributes: dict[str, Attribute] = {
            "from": self.lid,
            "id": message_id,
            "type": "text",
            "category": "peer",
            "t": int(time.time()),
        }
        device.deliver(Node("message", attributes, [self.seal(device, message.SerializeToString())]))
        return message_id

    def request_arrived(self, device: "Device", request_id: str, message: Any) -> None:
        """A linked device asks the phone: for a message that it could not read, say."""
        request = message.protocolMessage.peerDataOperationRequestMessage
        off = self.world.faults.take("phone_off", phone=self.number)
        if message.protocolMessage.HasField("appStateSyncKeyRequest"):
            self.key_requests += 1
            if off is None and self.answers_requests:
                self.send_peer_message(device, self.app_state.key_share())
            return
        self.requests.append(request)
        if off is not None:
            off.when_over(lambda: self._answer(device, request_id, request))
        elif self.answers_requests:
            self._answer(device, request_id, request)

    def _answer(self, device: "Device", request_id: str, request: Any) -> None:
        if request.peerDataOperationRequestType == e2e.PLACEHOLDER_MESSAGE_RESEND:
            for wanted in request.placeholderMessageResendRequest:
                self._hand_over(device, request_id, wanted.messageKey.ID)
        elif request.peerDataOperationRequestType == e2e.HISTORY_SYNC_ON_DEMAND:
            self._tell_past(device, request.historySyncOnDemandRequest)

    def _tell_past(self, device: "Device", request: Any) -> None:
        """What came in a chat before a message that the device names. A phone that does not know that message says nothing."""
        contact = self.world.person(Jid.parse(request.chatJID))
        if contact is None:
            return
        chat = [
            written
            for written in self.world.record.written
            if (written.account, written.contact) == (self.number, contact.number)
        ]
        known = [place for place, written in enumerate(chat) if written.id == request.oldestMsgID]
        if known:
            past = chat[: known[-1]][-request.onDemandMsgCount :]
            self.send_past(device, contact, past)

    def _hand_over(self, device: "Device", request_id: str, message_id: str) -> None:
        if message_id not in self._received:
            return
        contact, written, attributes = self._received[message_id]
        answer = e2e.Message()
        answer.protocolMessage.type = e2e.ProtocolMessage.PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE
        response = answer.protocolMessage.peerDataOperationRequestResponseMessage
        response.peerDataOperationRequestType = e2e.PLACEHOLDER_MESSAGE_RESEND
        response.stanzaID = request_id
        result = response.peerDataOperationResult.add()
        found = _web_message(contact, written, str(attributes["from"]))
        result.placeholderMessageResendResponse.webMessageInfoBytes = found.SerializeToString()
        self.send_peer_message(device, answer)


def _sent_copy(recipient: Person, message: Any) -> Any:
    """What the sender's own devices get of a message."""
    copy = e2e.Message()
    copy.deviceSentMessage.destinationJID = str(recipient.lid)
    copy.deviceSentMessage.message.CopyFrom(message)
    return copy


def _web_message(contact: "Contact", written: Written, chat: str) -> Any:
    """A past message, as phones hand it over."""
    found = web.WebMessageInfo(messageTimestamp=written.timestamp_s)
    found.key.remoteJID = chat
    found.key.fromMe = written.from_me
    found.key.ID = written.id
    found.message.CopyFrom(written.message)
    if not written.from_me:
        found.pushName = contact.name
    return found
