"""What a connector test plays on: connectors as real processes against the emulator, the simulated network and a flush address."""

import itertools
import json
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from core import schema
from core.account import (
    NEVER,
    CommandKind,
    Lease,
    new_account_document,
    new_command,
    new_lease_document,
    parse_lease,
)
from core.ids import AccountId
from identity.headers import token_headers
from local import ports
from local.identity_server import FUNCTIONS_ACCOUNT
from local.network.client import AccountState, Network
from local.processes import Child, Processes, answers
from local.project import ROOT
from local.signing import SigningKey
from local.whatsapp import NetworkKind
from tests.connector.flush_address import FlushAddress
from tests.waiting import wait_until

TIME_SCALE = 0.25
LEASE_TTL_S = 24 * TIME_SCALE
QR_CODE_S = 20.0
PASSKEY_S = 290.0
_names = itertools.count(1)
_phones = itertools.count(40700000001)
NUMBERS = re.compile(r"40700000\d{3}")
"""Every number that new_phone gives."""


def new_phone() -> str:
    """A number that no other test uses."""
    return f"+{next(_phones)}"


def read_qr(data_url: str) -> str:
    """What a phone's camera reads off the picture."""
    reader = ROOT / "tests/connector/read_qr.cjs"
    done = subprocess.run(["node", reader], input=data_url, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout


@dataclass(kw_only=True)
class Connector:
    """One connector process."""

    child: Child
    port: int
    key: SigningKey
    worker: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self) -> str:
        return self.key.token(audience=self.url, service_account=FUNCTIONS_ACCOUNT)

    def post(
        self, path: str, body: object = None, *, headers: Mapping[str, str] | None = None, timeout_s: float = 30.0
    ) -> httpx.Response:
        """As the functions call it, unless `headers` are given in place of their token."""
        content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        return httpx.post(
            f"{self.url}{path}",
            content=content,
            headers=token_headers(self.token()) if headers is None else headers,
            timeout=timeout_s,
        )

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=30)

    def poke(self, account: str) -> None:
        assert self.post(f"/v1/accounts/{account}/poke").status_code == 202

    def send(self, account: str, chat: str, key: str, text: str = "hello", *, within_s: float = 20.0) -> dict[str, Any]:
        response = self.post("/v1/send", send_body(account, chat, key, text, within_s=within_s))
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def freeze(self) -> None:
        self.child.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.child.process.send_signal(signal.SIGCONT)

    def metric(self, line: str) -> float:
        """The value of the one sample that begins with `line`; 0 when there is none yet."""
        found = [text for text in self.get("/metrics").text.splitlines() if text.startswith(line + " ")]
        return float(found[0].rsplit(" ", 1)[1]) if found else 0.0


def send_body(account: str, chat: str, key: str, text: str, *, within_s: float = 20.0) -> dict[str, str]:
    not_after = (datetime.now(UTC) + timedelta(seconds=within_s)).isoformat()
    return {"accountId": account, "chatId": chat, "waMessageKey": key, "text": text, "notAfter": not_after}


@dataclass(kw_only=True)
class Stage:
    """One test's own Firestore project, so that no other test's connector claims its accounts."""

    processes: Processes
    project: str
    db: firestore.Client
    kind: NetworkKind
    network: Network
    network_child: Child
    engine_settings: Mapping[str, str]
    """How a connector reaches the network; the real engine keeps its sessions in `store`."""
    flush: FlushAddress
    key: SigningKey
    certs_url: str
    metadata_host: str
    _connectors: list[Connector] = field(default_factory=list)
    _children: list[Child] = field(default_factory=list)
    _phones: dict[AccountId, str] = field(default_factory=dict)
    """Those that have scanned a code for the account."""
    _failing: Child | None = None

    # Connectors

    def start_connector(self, *, wait: bool = True, module: str = "connector", **environment: str) -> Connector:
        port, name = ports.free_port(), f"connector-{next(_names)}"
        settings = self.environment(port) | {"WORKER_ID": name} | environment
        child = self.processes.spawn(
            name, [sys.executable, "-W", "error", "-m", module], environment=settings, grace_s=15.0
        )
        connector = Connector(child=child, port=port, key=self.key, worker=name)
        self._connectors.append(connector)
        self._children.append(child)
        if wait:
            self.processes.await_ready(child, answers(port))
        return connector

    def start_failing_connector(self) -> Connector:
        """Fails at SIGUSR1, and says so: the only one that may."""
        connector = self.start_connector(module="tests.connector.failing_connector")
        self._failing = connector.child
        return connector

    def environment(self, port: int) -> dict[str, str]:
        return {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}",
            "GOOGLE_CLOUD_PROJECT": self.project,
            "TIME_SCALE": str(TIME_SCALE),
            "IDENTITY_CERTS_URL": self.certs_url,
            "GCE_METADATA_HOST": self.metadata_host,
            "FUNCTIONS_SERVICE_ACCOUNT": FUNCTIONS_ACCOUNT,
            "PUBLIC_ENDPOINT": f"http://127.0.0.1:{port}",
            "FLUSH_URL": self.flush.url,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            **self.engine_settings,
            **self._store_setting(),
        }

    def _store_setting(self) -> dict[str, str]:
        return {"ENGINE_STORE": f"sqlite:{self.store}"} if self.kind is NetworkKind.REAL else {}

    @property
    def store(self) -> Path:
        """The real engine's."""
        return self.processes.folder / f"{self.project}.db"

    @property
    def socket(self) -> str:
        """The simulated network's."""
        return self.engine_settings["ENGINE_SOCKET"]

    def short_codes(self, seconds: float) -> dict[str, str]:
        """Settings for a connector whose QR codes are good for so long, until the stage is closed."""
        if self.kind is NetworkKind.REAL:
            return {"WIRE_CODE_MS": str(int(seconds * 1000))}
        self.network.change_settings(code_lifetime_s=seconds)
        return {}

    def short_passkey(self, seconds: float) -> dict[str, str]:
        """Settings for a connector whose passkeys' requests may be answered for so long, until the stage is closed."""
        if self.kind is NetworkKind.REAL:
            return {"WIRE_PASSKEY_MS": str(int(seconds * 1000))}
        self.network.change_settings(passkey_lifetime_s=seconds)
        return {}

    @contextmanager
    def frozen_engine(self, connector: Connector) -> Iterator[None]:
        """The engine does nothing meanwhile. The simulated one is WhatsApp at once; the real one may be killed for it."""
        engine = psutil.Process(self.network_child.process.pid)
        if self.kind is NetworkKind.REAL:
            (engine,) = psutil.Process(connector.child.process.pid).children()
        engine.suspend()
        try:
            yield
        finally:
            with suppress(psutil.NoSuchProcess):
                engine.resume()

    def stop(self, connector: Connector) -> int:
        """As Cloud Run does it; returns the exit status."""
        self.processes.stop(connector.child)
        self._connectors.remove(connector)
        return int(connector.child.process.returncode)

    def kill(self, connector: Connector) -> None:
        self.processes.kill(connector.child)
        self._connectors.remove(connector)

    def kill_and_expire(self, connector: Connector, account: AccountId) -> None:
        """Killed, and its lease has run out: that it does so by itself is test_ownership.py's subject, and takes its time."""
        self.kill(connector)
        self.db.collection(schema.LEASES).document(account).update({"leaseUntil": NEVER})

    def close(self) -> None:
        """Ends what runs still. Whatever a test was about: no connector failed unexpectedly, and no log holds a number."""
        for connector in list(self._connectors):
            self.processes.stop(connector.child)
        if self.kind is NetworkKind.SIMULATED:
            self.network.change_settings(code_lifetime_s=QR_CODE_S, passkey_lifetime_s=PASSKEY_S)
        self.db.close()
        for child in self._children:
            log = child.log_text()
            assert '"event": "crashed"' not in log or child is self._failing, log
            assert '"event": "library"' not in log, log
            assert all(line.startswith("{") for line in log.splitlines()), log
            assert not NUMBERS.search(log), log

    # Accounts

    def create_account(self, *, wanted: bool = True, phone: str | None = None) -> AccountId:
        account = AccountId(f"shop-{next(_names)}-{self.project[-6:]}")
        now = datetime.now(UTC)
        self.db.collection(schema.ACCOUNTS).document(account).create(
            new_account_document(account, "Shop") | {"phoneE164": phone}
        )
        self.db.collection(schema.LEASES).document(account).create(new_lease_document(now) | {"wanted": wanted})
        return account

    def paired_account(self, connector: Connector, phone: str) -> AccountId:
        """An account that is linked to this number and connected."""
        account = self.create_account()
        connector.poke(account)
        self.await_status(account, "needs_qr")
        self.pair(connector, account, phone)
        return account

    def pair(self, connector: Connector, account: AccountId, phone: str) -> None:
        self.scan(phone, account, self.shown_qr(connector, account))
        self.await_connected(account)

    def scan(self, phone: str, account: AccountId, qr: str) -> None:
        """The phone of this number scans the account's QR code."""
        self._phones[account] = phone
        assert self.network.scan(phone, qr) == self._name_at_whatsapp(account)

    def enter_code(self, phone: str, account: AccountId, code: str) -> None:
        """The account's pairing code is typed into the phone of this number."""
        self._phones[account] = phone
        assert self.network.enter_code(phone, code) == self._name_at_whatsapp(account)

    def await_connected(self, account: AccountId, **fields: object) -> Mapping[str, Any]:
        """Also until WhatsApp has the session: over the wire it gets what waits for it a moment after it has logged in."""
        found = self.await_status(account, "connected", **fields)
        wait_until(lambda: self.is_connected(account), "the session is ready")
        return found

    def shown_qr(self, connector: Connector, account: AccountId) -> str:
        """Asks for a QR code and reads it."""
        self.command(connector, account, CommandKind.PAIR_QR)
        self.await_status(account, "qr_ready")
        return read_qr(wait_until(lambda: self.private_state(account).get("qrCodeDataUrl"), "a QR code"))

    def command(
        self, connector: Connector | None, account: AccountId, kind: CommandKind, phone: str | None = None
    ) -> None:
        """As the callables do it: into the lease, then a poke."""
        command = new_command(kind, phone).document()
        self.db.collection(schema.LEASES).document(account).update({"command": command})
        if connector is not None:
            connector.poke(account)

    def want(self, connector: Connector | None, account: AccountId, wanted: bool) -> None:
        desired = "connected" if wanted else "paused"
        self.db.collection(schema.ACCOUNTS).document(account).update({"desiredState": desired})
        self.db.collection(schema.LEASES).document(account).update({"wanted": wanted})
        if connector is not None:
            connector.poke(account)

    # What stands in Firestore

    def account(self, account: AccountId) -> dict[str, Any]:
        return self._read(schema.ACCOUNTS, account)

    def private_state(self, account: AccountId) -> dict[str, Any]:
        return self._read(schema.ACCOUNTS, account, schema.PRIVATE, schema.PRIVATE_STATE)

    def lease(self, account: AccountId) -> Lease:
        return parse_lease(self._read(schema.LEASES, account))

    def alerts(self, account: AccountId) -> list[dict[str, Any]]:
        query = self.db.collection(schema.ALERTS).where(filter=FieldFilter("accountId", "==", account))
        return [snapshot.to_dict() or {} for snapshot in query.stream()]

    def rows(self, account: AccountId) -> dict[str, dict[str, Any]]:
        """The account's WAL rows by their waMessageKey, in the order of receivedAt."""
        query = self.db.collection(schema.INGEST).where(filter=FieldFilter("accountId", "==", account))
        found = [snapshot.to_dict() or {} for snapshot in query.stream()]
        return {row["waMessageKey"]: row for row in sorted(found, key=lambda row: row["receivedAt"])}

    def await_row(self, account: AccountId, key: str) -> dict[str, Any]:
        return wait_until(lambda: self.rows(account).get(key), f"a WAL row {key}")

    def await_status(self, account: AccountId, status: str, **fields: object) -> Mapping[str, Any]:
        wanted = {"status": status, **fields}

        def find() -> Mapping[str, Any] | None:
            document = self.account(account)
            return document if wanted.items() <= document.items() else None

        return wait_until(find, f"{account} with {wanted}")

    # What stands at the engine and at WhatsApp

    def is_linked(self, account: AccountId) -> bool:
        """Whether the account has a device at WhatsApp."""
        state = self._at_whatsapp(account)
        return state is not None and state.phone is not None

    def is_open(self, account: AccountId) -> bool:
        """Whether an engine holds the session; over the wire, whether one is connected."""
        state = self._at_whatsapp(account)
        return state is not None and state.is_open

    def is_connected(self, account: AccountId) -> bool:
        state = self._at_whatsapp(account)
        return state is not None and state.is_connected

    def _at_whatsapp(self, account: AccountId) -> AccountState | None:
        return self.network.accounts().get(self._name_at_whatsapp(account))

    def _name_at_whatsapp(self, account: AccountId) -> str:
        """The wire-level server knows phones, and no accountId."""
        return account if self.kind is NetworkKind.SIMULATED else self._phones.get(account, "")

    def unacknowledged(self, account: AccountId) -> int:
        """How many events the engine keeps because they were not acknowledged to it."""
        if self.kind is NetworkKind.SIMULATED:
            return self.network.accounts()[account].unacknowledged
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as store:
            count = "SELECT COUNT(*) FROM engine_inbox WHERE account_id = ?"
            return int(store.execute(count, (account,)).fetchone()[0])

    def await_acknowledged(self, account: AccountId) -> None:
        wait_until(lambda: self.unacknowledged(account) == 0, "everything acknowledged")

    def _read(self, *path: str) -> dict[str, Any]:
        return self.db.document("/".join(path)).get().to_dict() or {}
