"""What befalls a session at WhatsApp, and the words that the engine has for it: the simulation's are the same."""

from enum import StrEnum

from connector.contract.engine_pb2 import SessionChanged

REMOVED_CODES = (401, 403)
"""Answers to a login that unlink the device."""
REMOVED = "device_removed"
REPLACED = "conflict"
TAKEN_OVER = "taken_over"
NO_SERVICE = 503
BAN_S = 3600.0


class Change(StrEnum):
    """What can be asked for."""

    BREAK = "break"
    REFUSED = "refused"
    RESTORE = "restore"
    LOGGED_OUT = "logged_out"
    REPLACED = "replaced"


class Break(StrEnum):
    """How a connection ends that comes about again."""

    STREAM_ERROR = "stream_error"
    """WhatsApp ends the stream with a code."""
    RESET = "reset"
    """The TCP connection is gone without a word."""
    HALF_CLOSE = "half_close"
    """WhatsApp's direction ends, and what the client says is not heard any more."""
    SILENCE = "silence"
    """The TCP connection stays, but nothing comes or is heard: pings are not answered."""


def word(how: Break, code: int) -> str:
    """The engine's word for it. `code` is the stream error's."""
    match how:
        case Break.STREAM_ERROR:
            return f"stream_error_{code}"
        case Break.RESET | Break.HALF_CLOSE:
            return "disconnected"
        case Break.SILENCE:
            return "keepalive_timeout"


def refused(code: int) -> tuple[SessionChanged.State.ValueType, str]:
    """What a session becomes whose login is answered with this failure, and the engine's word for it."""
    match code:
        case 401 | 403:
            return SessionChanged.LOGGED_OUT, f"connect_failure_{code}"
        case 402:
            return SessionChanged.BANNED, "temporary_ban"
        case 405:
            return SessionChanged.OUTDATED, "client_outdated"
        case _:
            return SessionChanged.RECONNECTING, f"connect_failure_{code}"
