"""The composition root: makes every workflow and its clients at the first use in each process."""

import functools
import threading
from functools import cached_property

import httpx
from google.cloud.firestore import Client

from backend.accept import Accept
from backend.accounts import Accounts
from backend.chats import Chats
from backend.connector_client import ConnectorClient
from backend.conversations import Conversations
from backend.decisions import Decisions
from backend.diagnosis import Diagnosis
from backend.expiry import Expiry
from backend.flush import Flush
from backend.ingest import Ingest
from backend.lookups import Lookups
from backend.owners import Owners
from backend.passkeys import Passkeys
from backend.replies import Replies
from backend.running import Running
from backend.send import Send
from backend.send_queue import SendQueue
from backend.settings import Settings, read_settings
from backend.stores import Stores
from backend.sweep import Sweep
from backend.sweep_alerts import AlertSweep
from backend.sweep_codes import CodeSweep
from backend.sweep_owners import OwnerSweep
from backend.sweep_pauses import PauseSweep
from backend.sweep_requests import RequestSweep
from backend.sweep_rows import RowSweep
from backend.threads import Threads
from backend.webhook import Webhook, configured
from core.timing import Timing
from identity.tokens import IdentityTokens, TokenVerifier

_CONNECTIONS = 100
"""At least a process's threads: none waits for a connection."""


class Services:
    """Each workflow is made at its first use, so that a function needs only the settings of its own workflow.

    Opens no connection: clients connect when they are used. Safe to use from several threads.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timing = settings.timing
        self._chats = Chats()
        self._running = Running()
        self.queue = SendQueue(settings)

    @cached_property
    def stores(self) -> Stores:
        return Stores(Client(project=self._settings.project, database=self._settings.database))

    @cached_property
    def ingest(self) -> Ingest:
        return Ingest(
            stores=self.stores,
            timing=self._timing,
            chats=self._chats,
            threads=Threads(stores=self.stores),
            diagnosis=self._diagnosis,
        )

    @cached_property
    def accept(self) -> Accept:
        return Accept(stores=self.stores, chats=self._chats)

    @cached_property
    def flush(self) -> Flush:
        return Flush(stores=self.stores, queue=self.queue, interval_s=self._timing.flush_interval_s)

    @cached_property
    def send(self) -> Send:
        return Send(
            stores=self.stores,
            timing=self._timing,
            accept=self.accept,
            owners=Owners(self.stores, self._timing, self._settings.connector_endpoints),
            connector=self._connector,
            queue=self.queue,
            running=self._running,
            expiry=self._expiry,
            diagnosis=self._diagnosis,
            replies=self._replies,
        )

    @cached_property
    def sweep(self) -> Sweep:
        return Sweep(
            rows=RowSweep(self.stores, self._timing, self.ingest),
            requests=RequestSweep(self.stores, self._timing, self.accept, self.queue, self._expiry),
            codes=CodeSweep(stores=self.stores),
            pauses=PauseSweep(stores=self.stores),
            owners=OwnerSweep(stores=self.stores, timing=self._timing, connector=self._connector),
            alerts=AlertSweep(stores=self.stores, timing=self._timing),
        )

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(stores=self.stores, connector=self._connector, flush=self.flush)

    @cached_property
    def passkeys(self) -> Passkeys:
        return Passkeys(stores=self.stores, connector=self._connector)

    @cached_property
    def conversations(self) -> Conversations:
        lookups = Lookups(stores=self.stores, connector=self._connector, key=self._settings.log_hash_key)
        return Conversations(stores=self.stores, threads=Threads(stores=self.stores), lookups=lookups)

    @cached_property
    def decisions(self) -> Decisions:
        return Decisions(stores=self.stores, accept=self.accept, queue=self.queue, replies=self._replies)

    @cached_property
    def flush_callers(self) -> TokenVerifier:
        return TokenVerifier(
            audience=self._settings.flush_url,
            service_account=self._settings.connector_service_account,
            certs_url=self._settings.certs_url,
        )

    @cached_property
    def _connector(self) -> ConnectorClient:
        return ConnectorClient(
            http=httpx.Client(
                limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
            ),
            tokens=IdentityTokens(),
            allowed=self._settings.connector_endpoints,
        )

    @cached_property
    def _diagnosis(self) -> Diagnosis:
        return Diagnosis(stores=self.stores, connector=lambda: self._connector, settings=self._settings)

    @cached_property
    def _replies(self) -> Replies:
        return Replies(stores=self.stores)

    @cached_property
    def _expiry(self) -> Expiry:
        return Expiry(stores=self.stores, timing=self._timing, accept=self.accept, replies=self._replies)


_lock = threading.Lock()


def services() -> Services:
    """This process's workflows. Not before a worker's first event: gRPC clients do not survive the server's fork."""
    with _lock:
        return _services()


@functools.cache
def posting() -> tuple[Webhook | None, Timing]:
    """What posts alerts. Apart from the other services: only its function is given the secret."""
    settings = read_settings()
    return configured(httpx.Client(), settings), settings.timing


@functools.cache
def _services() -> Services:
    return Services(read_settings())
