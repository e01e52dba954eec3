"""Messages as their senders encrypt them: of every field of the protocol, nested, spoilt, or ordinary."""

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError

from tests.fuzz.values import Draw
from tests.whatsapp.protobufs import e2e

_DEEPEST = 4
_DEEP_NEST = 300
_SHOWN = frozenset(
    {
        "imageMessage",
        "videoMessage",
        "audioMessage",
        "documentMessage",
        "stickerMessage",
        "locationMessage",
        "liveLocationMessage",
        "contactMessage",
        "contactsArrayMessage",
    }
)
_BESIDE_CONTENT = frozenset({"messageContextInfo"})


def content(draw: Draw) -> bytes:
    """A plaintext, without its padding."""
    message = draw.rng.choice((_text, _known, _of_any_fields, _of_any_fields, _protocol, _nested))(draw)
    wire: bytes = message.SerializePartialToString() if not isinstance(message, bytes) else message
    return draw.mutated(wire) if draw.chance(0.4) else wire


def is_shown(wire: bytes) -> bool:
    """Whether a plaintext is one thing that a person sends, and nothing else: such a message must be shown."""
    try:
        message = e2e.Message.FromString(wire)
        fields = {field.name for field, _ in message.ListFields()} - _BESIDE_CONTENT
        return (fields == {"conversation"} and bool(message.conversation)) or (len(fields) == 1 and fields <= _SHOWN)
    except (DecodeError, UnicodeDecodeError):
        return False


def _text(draw: Draw) -> Any:
    message = e2e.Message(conversation="text " + _storable(draw.text()))
    if draw.chance(0.5):
        message.messageContextInfo.messageSecret = draw.data()
    return message


def _known(draw: Draw) -> Any:
    """A file, a place or a card, with fields of any values."""
    message = e2e.Message()
    child = getattr(message, draw.rng.choice(sorted(_SHOWN)))
    child.SetInParent()
    _fill(child, draw, _DEEPEST)
    return message


def _of_any_fields(draw: Draw) -> Any:
    message = e2e.Message()
    _fill(message, draw, _DEEPEST)
    return message


def _protocol(draw: Draw) -> Any:
    message = e2e.Message()
    _fill(message.protocolMessage, draw, _DEEPEST)
    message.protocolMessage.type = draw.rng.choice(list(e2e.ProtocolMessage.Type.values()))
    return message


def _nested(draw: Draw) -> bytes:
    """One wrapper in the other, far deeper than WhatsApp goes."""
    wire: bytes = _text(draw).SerializeToString()
    for _ in range(draw.rng.choice((1, 3, _DEEP_NEST))):
        wrapped = e2e.Message()
        wrapper: Any = getattr(
            wrapped,
            draw.rng.choice(("ephemeralMessage", "viewOnceMessage", "editedMessage", "documentWithCaptionMessage")),
        )
        wrapper.message.SetInParent()
        name = next(field.number for field, _ in wrapped.ListFields())
        inner = b"\x0a" + _varint(len(wire)) + wire
        wire = _varint(name << 3 | 2) + _varint(len(inner)) + inner
    return wire


def _fill(message: Any, draw: Draw, depth: int) -> None:
    descriptor: Descriptor = message.DESCRIPTOR
    fields = list(descriptor.fields)
    for field in draw.rng.sample(fields, min(len(fields), draw.rng.randint(1, 4))):
        if field.message_type is None:
            values = [_scalar(field, draw) for _ in range(draw.rng.randint(1, 2))]
            if field.is_repeated:
                getattr(message, field.name).extend(values)
            else:
                setattr(message, field.name, values[0])
        elif depth > 0 and not field.message_type.GetOptions().map_entry:
            child = getattr(message, field.name)
            if field.is_repeated:
                child = child.add()
            child.SetInParent()
            _fill(child, draw, depth - 1)


def _scalar(field: FieldDescriptor, draw: Draw) -> Any:
    if field.enum_type is not None:
        return draw.rng.choice(field.enum_type.values).number
    makers: dict[int, Callable[[], Any]] = {
        FieldDescriptor.CPPTYPE_STRING: lambda: (
            draw.data() if field.type == FieldDescriptor.TYPE_BYTES else _some_name(draw)
        ),
        FieldDescriptor.CPPTYPE_BOOL: lambda: draw.chance(0.5),
        FieldDescriptor.CPPTYPE_FLOAT: lambda: draw.rng.choice((0.0, -1.0, float("nan"), float("inf"))),
        FieldDescriptor.CPPTYPE_DOUBLE: lambda: draw.rng.choice((0.0, 1e300, float("nan"), float("-inf"))),
        FieldDescriptor.CPPTYPE_INT32: lambda: draw.rng.choice((0, -1, 2**31 - 1)),
        FieldDescriptor.CPPTYPE_UINT32: lambda: draw.rng.choice((0, 1, 2**32 - 1)),
        FieldDescriptor.CPPTYPE_INT64: lambda: draw.rng.choice((0, -1, 2**63 - 1)),
        FieldDescriptor.CPPTYPE_UINT64: lambda: draw.rng.choice((0, 1, 2**64 - 1)),
    }
    return makers[field.cpp_type]()


def _some_name(draw: Draw) -> str:
    return str(draw.jid()).encode(errors="replace").decode() if draw.chance(0.4) else _storable(draw.text())


def _storable(text: str) -> str:
    """As Python's protobuf takes it; bytes that are not UTF-8 come by mutation."""
    return text.encode(errors="replace").decode()


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
