"""The connector's settings: read from the environment once, checked, and refused with a message that names what is wrong."""

import math
import os
import re
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from connector.event_budget import DEFAULT_MEMORY_BYTES
from core.ids import WorkerId
from core.timing import Timing
from identity.tokens import GOOGLE_CERTS_URL

_WEB_VERSION = re.compile(r"([0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,10})?")
"""The engine reads it from the same environment."""
_MIB = 1024 * 1024
_HISTORY_MOST_MIB = 65_535
_STORES = ("sqlite:/", "postgres://", "postgresql://")


class InvalidSettings(ValueError):
    """One line for each setting that is missing or malformed."""


@dataclass(frozen=True, kw_only=True)
class ServedEngine:
    """Somebody else runs the engine."""

    socket: Path


@dataclass(frozen=True, kw_only=True)
class EngineProgram:
    """The connector runs the engine."""

    binary: Path
    store: str = field(repr=False)
    """Where the engine keeps its sessions: `sqlite:/PATH`, or a `postgres://` address, which holds a password."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    project: str
    database: str
    """The id of the Firestore database."""
    public_endpoint: str
    """This connector's own address as the lease names it, and the audience of tokens for it: scheme, host and port, no path."""
    functions_service_account: str
    identity_certs_url: str
    flush_url: str
    engine: ServedEngine | EngineProgram
    host: str
    port: int
    worker_id: WorkerId
    max_accounts: int
    """How many accounts this worker owns at most."""
    phone_day_s: float
    """How long a day lasts for the watch over sleeping phones; shorter only in tests."""
    shows_groups: bool
    """Whether messages in groups are taken up, or acknowledged to WhatsApp and left out."""
    trusts_announced: bool
    """Whether an account is degraded that misses messages by the number that WhatsApp announced; else they are only counted."""
    event_memory_bytes: int
    """Of all accounts together, for events that wait to be written to Firestore."""
    paces_sends: bool
    """Whether an account's limits hold sends back; off only where no WhatsApp is: tests, and what measures."""
    timing: Timing


def read_settings(env: Mapping[str, str]) -> Settings:
    """Raises InvalidSettings with every complaint at once."""
    reader = _Reader(env)
    settings = Settings(
        project=reader.text("GOOGLE_CLOUD_PROJECT"),
        database=reader.text("FIRESTORE_DATABASE", "(default)"),
        public_endpoint=reader.origin("PUBLIC_ENDPOINT"),
        functions_service_account=reader.text("FUNCTIONS_SERVICE_ACCOUNT"),
        identity_certs_url=reader.url("IDENTITY_CERTS_URL", GOOGLE_CERTS_URL),
        flush_url=reader.url("FLUSH_URL"),
        engine=reader.engine(),
        host=reader.text("HOST", "0.0.0.0"),  # noqa: S104 - Cloud Run routes to the container's own address
        port=reader.port("PORT"),
        worker_id=WorkerId(reader.text("WORKER_ID", f"{socket.gethostname()}-{secrets.token_hex(4)}")),
        max_accounts=reader.count("MAX_ACCOUNTS", "500"),
        phone_day_s=reader.seconds("PHONE_DAY_S", "86400"),
        shows_groups=reader.one_of("GROUPS", ("show", "hide")) == "show",
        trusts_announced=reader.switch("ANNOUNCED_GAPS", "off"),
        event_memory_bytes=reader.count("EVENT_MEMORY_MIB", str(DEFAULT_MEMORY_BYTES // _MIB)) * _MIB,
        paces_sends=reader.switch("PACING", "on"),
        timing=reader.timing("TIME_SCALE"),
    )
    if reader.complaints:
        raise InvalidSettings("\n".join(reader.complaints))
    return settings


def settings_from_environment() -> Settings:
    """Also looks whether the machine has what they name. Raises InvalidSettings."""
    settings = read_settings(os.environ)
    if isinstance(settings.engine, EngineProgram) and not os.access(settings.engine.binary, os.X_OK):
        raise InvalidSettings(f"ENGINE_BINARY names {settings.engine.binary}, which is no program that may be run here")
    return settings


class _Reader:
    """Collects complaints instead of stopping at the first: one start shows all that must be set."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.complaints: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        value = self._env.get(name, "").strip() or default
        if value is None:
            self.complaints.append(f"{name} is not set; docs/architecture.md says what it means")
            return ""
        return value

    def engine(self) -> ServedEngine | EngineProgram:
        """Never quotes ENGINE_STORE."""
        socket, binary, store = (self._env.get(f"ENGINE_{name}", "").strip() for name in ("SOCKET", "BINARY", "STORE"))
        if socket and not binary and not store:
            return ServedEngine(socket=Path(socket))
        if socket or not binary or not store:
            self.complaints.append(
                "ENGINE_SOCKET must be set alone, or else ENGINE_BINARY and ENGINE_STORE; docs/architecture.md says what they mean"
            )
        elif not _WEB_VERSION.fullmatch(self._env.get("ENGINE_WEB_VERSION", "")):
            self.complaints.append(
                "ENGINE_WEB_VERSION must be a version of WhatsApp Web, such as 2.3000.1047769893, or not be set"
            )
        elif not _is_history_size(self._env.get("ENGINE_HISTORY_MIB", "")):
            self.complaints.append("ENGINE_HISTORY_MIB must be a whole number from 0 to 65535, or not be set")
        elif not store.startswith(_STORES):
            self.complaints.append(f"ENGINE_STORE must begin with one of {', '.join(_STORES)}")
        return EngineProgram(binary=Path(binary), store=store)

    def url(self, name: str, default: str | None = None) -> str:
        value = self.text(name, default)
        if value and not _is_http_url(value):
            self.complaints.append(f"{name} must be an http or https address, not {value!r}")
        return value

    def origin(self, name: str) -> str:
        value = self.url(name)
        if (
            value
            and _is_http_url(value)
            and (urlsplit(value).path or urlsplit(value).query or urlsplit(value).fragment)
        ):
            self.complaints.append(
                f"{name} must be scheme, host and port alone, without a path or a final '/', not {value!r}"
            )
        return value

    def port(self, name: str) -> int:
        value = self.text(name)
        if value and not (value.isascii() and value.isdigit() and 0 < int(value) < 65536):
            self.complaints.append(f"{name} must be a port number from 1 to 65535, not {value!r}")
            return 0
        return int(value or 0)

    def count(self, name: str, default: str) -> int:
        value = self.text(name, default)
        if not (value.isascii() and value.isdigit() and 0 < int(value) < 100_000):
            self.complaints.append(f"{name} must be a whole number from 1 to 99999, not {value!r}")
            return int(default)
        return int(value)

    def seconds(self, name: str, default: str) -> float:
        value = self.text(name, default)
        try:
            seconds = float(value)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < math.inf:
            self.complaints.append(f"{name} must be a number of seconds above 0, not {value!r}")
            return float(default)
        return seconds

    def one_of(self, name: str, words: Sequence[str]) -> str:
        """The first word is the default."""
        value = self.text(name, words[0])
        if value not in words:
            self.complaints.append(f"{name} must be {' or '.join(words)}, not {value!r}")
            return words[0]
        return value

    def switch(self, name: str, default: str) -> bool:
        value = self.text(name, default)
        if value not in ("on", "off"):
            self.complaints.append(f"{name} must be on or off")
        return value != "off"

    def timing(self, name: str) -> Timing:
        value = self.text(name, "1")
        try:
            return Timing().scaled(float(value))
        except ValueError:
            self.complaints.append(f"{name} must be a number above 0, not {value!r}")
            return Timing()


def _is_history_size(value: str) -> bool:
    """As the engine reads it, from the same environment."""
    return not value or (value.isascii() and value.isdigit() and int(value) <= _HISTORY_MOST_MIB)


def _is_http_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and parts.hostname is not None and (parts.port or 1) > 0
    except ValueError:
        return False
