"""An account's app state: collections of settings that its phone and its linked devices share, encrypted with keys that the phone gives
to each device. The server keeps patches that it cannot read; this one makes them, too, in the phone's place.

The encryption is as whatsmeow has it (appstate/encode.go, hash.go, lthash).
"""

import hmac
import json
import os
import struct
import time
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.whatsapp.hashing import hkdf, hmac_sha256
from tests.whatsapp.node import Attribute, Node
from tests.whatsapp.protobufs import e2e, server_sync, sync_action

NAMES: Final = ("critical_block", "critical_unblock_low", "regular_high", "regular", "regular_low")
_HASH_BYTES: Final = 128


@dataclass(kw_only=True)
class Collection:
    name: str
    hash: bytes = bytes(_HASH_BYTES)
    patches: list[bytes] = field(default_factory=list)
    """Each raises the version by one, from 0."""
    value_macs: dict[bytes, bytes] = field(default_factory=dict)
    """Of what stands now, by the MAC of its index."""

    @property
    def version(self) -> int:
        return len(self.patches)


class AppState:
    def __init__(self) -> None:
        self.collections = {name: Collection(name=name) for name in NAMES}
        self.key_id, self._key = os.urandom(6), os.urandom(32)
        expanded = hkdf(self._key, b"WhatsApp Mutation Keys", 160)
        self._index, self._value, self._value_mac, self._snapshot_mac, self._patch_mac = (
            expanded[start : start + 32] for start in range(0, 160, 32)
        )

    def set(self, name: str, index: list[str], action: Any) -> Collection:
        """Adds a patch that sets one thing. `action` is a sync_action.SyncActionValue."""
        collection = self.collections[name]
        value = sync_action.SyncActionData(
            index=json.dumps(index, separators=(",", ":")).encode(), value=action, padding=b"", version=1
        )
        index_mac = hmac_sha256(self._index, value.index)
        sealed = self._seal(value.SerializeToString())
        former = collection.value_macs.get(index_mac)
        collection.hash = _mix(collection.hash, former, sealed[-32:])
        collection.value_macs[index_mac] = sealed[-32:]
        patch = server_sync.SyncdPatch()
        patch.version.version = version = collection.version + 1
        record = patch.mutations.add(operation=server_sync.SyncdMutation.SET).record
        record.index.blob, record.value.blob, record.keyID.ID = index_mac, sealed, self.key_id
        patch.keyID.ID = self.key_id
        counted = struct.pack(">Q", version) + name.encode()
        patch.snapshotMAC = hmac_sha256(self._snapshot_mac, collection.hash + counted)
        patch.patchMAC = hmac_sha256(self._patch_mac, patch.snapshotMAC + sealed[-32:] + counted)
        collection.patches.append(patch.SerializeToString())
        return collection

    def key_share(self) -> Any:
        """The e2e.Message with which the phone gives the key to a device."""
        message = e2e.Message()
        message.protocolMessage.type = e2e.ProtocolMessage.APP_STATE_SYNC_KEY_SHARE
        key = message.protocolMessage.appStateSyncKeyShare.keys.add()
        key.keyID.keyID = self.key_id
        key.keyData.keyData = self._key
        key.keyData.timestamp = int(time.time() * 1000)
        key.keyData.fingerprint.rawID = 1
        return message

    def answer(self, wanted: Node) -> Node:
        """The collections that a device asks for, each from the version that the device has."""
        found = []
        for asked in (wanted.child("sync") or Node("sync")).children:
            collection = self.collections[asked.need_text("name")]
            known = int(asked.text("version") or 0)
            patches = [Node("patch", {}, patch) for patch in collection.patches[known:]]
            attributes: dict[str, Attribute] = {"name": collection.name, "version": collection.version}
            found.append(Node("collection", attributes, [Node("patches", {}, patches)] if patches else None))
        return Node("sync", {}, found)

    def _seal(self, plaintext: bytes) -> bytes:
        iv, padder = os.urandom(16), padding.PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(self._value), modes.CBC(iv)).encryptor()
        padded = padder.update(plaintext) + padder.finalize()
        content = iv + encryptor.update(padded) + encryptor.finalize()
        operation = bytes([server_sync.SyncdMutation.SET + 1])
        length = struct.pack(">Q", len(self.key_id) + 1)
        return content + hmac.digest(self._value_mac, operation + self.key_id + content + length, "sha512")[:32]


def _mix(state: bytes, removed: bytes | None, added: bytes) -> bytes:
    """The sum, piece by piece, that stands for all values of a collection."""
    numbers = list(struct.unpack("<64H", state))
    for mac, sign in ((removed, -1), (added, 1)):
        if mac is not None:
            expanded = struct.unpack("<64H", hkdf(mac, b"WhatsApp Patch Integrity", _HASH_BYTES))
            numbers = [(number + sign * piece) & 0xFFFF for number, piece in zip(numbers, expanded, strict=True)]
    return struct.pack("<64H", *numbers)
