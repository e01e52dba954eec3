"""Stanzas of every kind that WhatsApp hands over, with attributes and children as no server would send them."""

import time
from dataclasses import dataclass

from tests.fuzz.contents import content, is_shown
from tests.fuzz.values import Draw
from tests.whatsapp import Contact, Device, Phone
from tests.whatsapp.jid import SERVER, Jid
from tests.whatsapp.node import Attribute, Node

_ATTRIBUTES = (
    *("type", "t", "notify", "category", "edit", "participant", "recipient", "sender_lid", "sender_pn", "phash"),
    *("participant_pn", "participant_lid", "addressing_mode", "offline", "count", "server_id", "retry", "context"),
    *("peer_recipient_pn", "peer_recipient_lid", "verified_name", "unknown"),
)
_OF_MESSAGES = (
    *("enc", "unavailable", "plaintext", "participants", "multicast", "verified_name", "bot", "meta", "franking"),
    *("trace", "reporting", "device-identity", "biz", "rcat", "unknown"),
)
_ENCRYPTIONS = ("pkmsg", "msg", "skmsg", "msmsg", "frskmsg", "none", "")
_RECEIPTS = (
    *(None, "read", "played", "inactive", "sender", "retry", "enc_rekey_retry", "server-error", "read-self"),
    *("played-self", "hist_sync", "peer_msg", "view", "unknown"),
)
_CALLS = (
    *("offer", "offer_notice", "accept", "preaccept", "transport", "terminate", "reject", "relaylatency", "unknown"),
    *("group_update", "mute_v2", "enc_rekey"),
)
_NOTIFICATIONS = (
    *("encrypt", "server_sync", "account_sync", "devices", "fbid:devices", "w:gp2", "picture", "mediaretry", "mex"),
    *("privacy_token", "link_code_companion_reg", "newsletter", "status", "passkey_prologue_request", "business"),
    *("crsc_continuation", "psa", "disappearing_mode", "registration", "unknown"),
)
_CHILDREN = (
    *("count", "identity", "collection", "devices", "device", "add", "remove", "update", "picture", "set", "delete"),
    *("privacy", "status", "disappearing_mode", "blocklist", "item", "user", "participants", "participant", "list"),
    *("create", "group", "promote", "demote", "subject", "description", "body", "announcement", "locked", "ephemeral"),
    *("invite", "leave", "link", "unlink", "suspended", "growth_locked", "membership_approval_request", "encrypt"),
    *("enc_p", "enc_iv", "error", "rmr", "tokens", "token", "live_updates", "messages", "message", "plaintext"),
    *("reactions", "reaction", "views_count", "key-index-list", "registration", "keys", "skey", "key", "id", "value"),
    *("signature", "type", "identity", "retry", "hash", "dirty", "edge_routing", "routing_info", "offline_preview"),
    *("offline", "thread_metadata", "unified_session", "composing", "paused", "link_code_pairing_nonce", "unknown"),
)


@dataclass(frozen=True, kw_only=True)
class Throw:
    """One stanza on its way to the account's device."""

    node: Node
    is_queued: bool
    """WhatsApp hands it over again until it is answered."""
    shown_as: str | None = None
    """The id of the message that must be shown of it. None: whether it is shown depends on what it happens to be."""
    awaited_as: str | None = None
    """The id of the message that must be shown, or at least awaited: nobody can read it."""
    told_of: str | None = None
    """The id of a message of the account that it must say something about."""


@dataclass(kw_only=True)
class Thrower:
    draw: Draw
    device: Device
    phone: Phone
    contact: Contact
    _number: int = 0

    def next(self) -> Throw:
        make = self.draw.rng.choices(
            (
                *(self._honest, self._honest_receipt, self._honest_call),
                *(self._message, self._own, self._receipt, self._call, self._notification, self._other),
            ),
            (30, 5, 3, 22, 8, 12, 4, 12, 4),
        )[0]
        return make()

    # Messages

    def _honest(self) -> Throw:
        """A contact's message of any content, under any id."""
        wire = content(self.draw)
        sealed = self.contact.seal(self.device, wire)
        attributes: dict[str, Attribute] = {
            **self.contact.sender_attributes(None),
            "id": self._id(),
            "t": int(time.time()),
            "type": "text",
        }
        if self.draw.chance(0.5):
            attributes["notify"] = self.draw.text()
        is_spoilt = self.draw.chance(0.1)
        if is_spoilt:
            sealed = Node("enc", sealed.attributes, self.draw.mutated(sealed.data))
        node, message_id = Node("message", attributes, [sealed]), str(attributes["id"])
        if not is_shown(wire):
            return Throw(node=node, is_queued=True)
        return Throw(
            node=node,
            is_queued=True,
            shown_as=None if is_spoilt else message_id,
            awaited_as=message_id if is_spoilt else None,
        )

    def _message(self) -> Throw:
        children = [
            self._encrypted() if self.draw.chance(0.5) else self._child(_OF_MESSAGES)
            for _ in range(self.draw.rng.randint(0, 4))
        ]
        return Throw(node=Node("message", self._attributes(), children), is_queued=True)

    def _own(self) -> Throw:
        """From the account's own phone: what it says to its devices, and what its owner writes."""
        sealed = self.phone.seal(self.device, content(self.draw))
        attributes = self._attributes()
        attributes["from"] = self.draw.rng.choice((self.phone.lid, self.phone.number_jid))
        if self.draw.chance(0.5):
            attributes["category"] = "peer"
        else:
            attributes["recipient"] = self.draw.jid()
        return Throw(node=Node("message", attributes, [sealed]), is_queued=True)

    def _encrypted(self) -> Node:
        sealed = self.contact.seal(self.device, content(self.draw))
        attributes = dict(sealed.attributes)
        if self.draw.chance(0.5):
            attributes["type"] = self.draw.rng.choice(_ENCRYPTIONS)
        if self.draw.chance(0.3):
            attributes["v"] = self.draw.rng.choice((None, "", 0, 1, 3, 99, "x"))
        if self.draw.chance(0.2):
            attributes["decrypt-fail"] = "hide"
        if self.draw.chance(0.1):
            attributes["mediatype"] = self.draw.text()
        body = self.draw.mutated(sealed.data) if self.draw.chance(0.2) else sealed.data
        return Node("enc", attributes, body if self.draw.chance(0.9) else [])

    # The rest

    def _honest_receipt(self) -> Throw:
        """A contact's receipt about any messages."""
        ids = [self._id() for _ in range(self.draw.rng.randint(1, 4))]
        attributes: dict[str, Attribute] = {
            **self.contact.sender_attributes(None),
            "id": ids[0],
            "t": int(time.time()),
            "type": self.draw.rng.choice((None, "read", "played", "inactive")),
        }
        children = [Node("list", {}, [Node("item", {"id": other}) for other in ids[1:]])]
        return Throw(node=Node("receipt", attributes, children), is_queued=True, told_of=self.draw.rng.choice(ids))

    def _honest_call(self) -> Throw:
        call_id = self._id()
        sender = self.contact.sender_attributes(None)["from"]
        offer = Node(self.draw.rng.choice(("offer", "offer_notice")), {"call-id": call_id, "call-creator": sender})
        attributes: dict[str, Attribute] = {
            "from": sender,
            "id": self._id(),
            "t": int(time.time()),
            "platform": self.draw.text(),
        }
        return Throw(node=Node("call", attributes, [offer]), is_queued=True, shown_as=call_id)

    def _receipt(self) -> Throw:
        kind = self.draw.rng.choice(_RECEIPTS)
        attributes: dict[str, Attribute] = {**self._attributes(), "type": kind}
        children = [self._child(_CHILDREN) for _ in range(self.draw.rng.randint(0, 2))]
        if self.draw.chance(0.4):
            items = [Node("item", {"id": self.draw.text()}) for _ in range(self.draw.rng.randint(0, 5))]
            children = [Node("list", {}, items)]
        if kind == "retry":
            retry = Node("retry", {"count": self.draw.text(), "id": attributes["id"], "t": self.draw.integer(), "v": 1})
            children = [retry, Node("registration", {}, self.draw.data()), self._child(("keys",))]
        return Throw(node=Node("receipt", attributes, children or None), is_queued=True)

    def _call(self) -> Throw:
        children: list[Node] = []
        for _ in range(self.draw.rng.choice((0, 1, 1, 1, 1, 2))):
            child = self._child(_CALLS)
            child.attributes |= {"call-id": self.draw.text(), "call-creator": self.draw.jid()}
            children.append(child)
        return Throw(node=Node("call", self._attributes(), children), is_queued=True)

    def _notification(self) -> Throw:
        attributes: dict[str, Attribute] = {**self._attributes(), "type": self.draw.rng.choice(_NOTIFICATIONS)}
        children = [self._child(_CHILDREN, depth=3) for _ in range(self.draw.rng.randint(0, 3))]
        return Throw(node=Node("notification", attributes, children), is_queued=True)

    def _other(self) -> Throw:
        """What is not handed over again."""
        tag = self.draw.rng.choice(("ib", "chatstate", "presence", "ack", "unknown"))
        children = [self._child(_CHILDREN, depth=2) for _ in range(self.draw.rng.randint(0, 2))]
        return Throw(node=Node(tag, self._attributes(), children), is_queued=False)

    # Parts

    def _attributes(self) -> dict[str, Attribute]:
        """With an id and a sender: without them nothing could be answered."""
        sender = self.contact.sender_attributes(
            self.draw.rng.choice((None, "lid", "number", "lid_only", "number_only"))
        )
        attributes: dict[str, Attribute] = {**sender, "id": self._id(), "t": int(time.time())}
        if self.draw.chance(0.4):
            attributes["from"] = self.draw.jid() if self.draw.chance(0.8) else SERVER
        for name in self.draw.rng.sample(_ATTRIBUTES, self.draw.rng.choice((0, 0, 1, 2, 3))):
            attributes[name] = self._value()
        return attributes

    def _value(self) -> Attribute:
        return self.draw.rng.choice((self.draw.text, self.draw.jid, self.draw.integer))()

    def _child(self, tags: tuple[str, ...], depth: int = 1) -> Node:
        attributes: dict[str, Attribute] = {
            self.draw.rng.choice(
                (*_ATTRIBUTES, "id", "jid", "name", "key", "call-id", "from", "creation", "version")
            ): self._value()
            for _ in range(self.draw.rng.randint(0, 3))
        }
        if depth > 0 and self.draw.chance(0.5):
            return Node(
                self.draw.rng.choice(tags),
                attributes,
                [self._child(_CHILDREN, depth - 1) for _ in range(self.draw.rng.randint(0, 3))],
            )
        return Node(self.draw.rng.choice(tags), attributes, self.draw.data() if self.draw.chance(0.6) else None)

    def _id(self) -> str:
        self._number += 1
        return f"{self.draw.text()}{self._number:06X}"


def known(phone: Phone, device: Device, *contacts: Contact) -> tuple[Jid, ...]:
    people = [jid for contact in contacts for jid in (contact.number_jid, contact.lid)]
    special = [Jid("status", "broadcast"), Jid("0"), Jid("120363000000000001", "g.us"), Jid("13135550002", "bot")]
    return (*people, *special, phone.number_jid, phone.lid, device.number_jid, device.lid)
