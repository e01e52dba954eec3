"""The composition root: every workflow with its clients, made at the first use of each process."""

import functools
import os
import threading
from dataclasses import dataclass

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
from backend.replies import Replies
from backend.running import Running
from backend.send import Send
from backend.send_queue import SendQueue
from backend.settings import Settings, read_settings, read_timing
from backend.stores import Stores
from backend.sweep import Sweep
from backend.sweep_alerts import AlertSweep
from backend.sweep_codes import CodeSweep
from backend.sweep_owners import OwnerSweep
from backend.sweep_pauses import PauseSweep
from backend.sweep_requests import RequestSweep
from backend.sweep_rows import RowSweep
from backend.webhook import Webhook, configured
from core.log_hash import log_hash_key
from core.timing import Timing
from identity.tokens import IdentityTokens, TokenVerifier

_CONNECTIONS = 100
"""At least a process's threads: none waits for a connection."""


@dataclass(frozen=True, kw_only=True)
class Services:
    stores: Stores
    ingest: Ingest
    accept: Accept
    send: Send
    queue: SendQueue
    flush: Flush
    sweep: Sweep
    accounts: Accounts
    conversations: Conversations
    decisions: Decisions
    flush_callers: TokenVerifier


def build(settings: Settings) -> Services:
    """Opens no connection: clients connect when they are used."""
    stores = Stores(Client(project=settings.project))
    chats = Chats()
    queue = SendQueue(settings)
    connector = ConnectorClient(
        http=httpx.Client(limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)),
        tokens=IdentityTokens(),
        allowed=settings.connector_endpoints,
    )
    accept = Accept(stores=stores, chats=chats)
    diagnosis = Diagnosis(stores=stores, connector=connector, settings=settings)
    ingest = Ingest(stores=stores, timing=settings.timing, chats=chats, diagnosis=diagnosis)
    flush = Flush(stores=stores, queue=queue, interval_s=settings.timing.flush_interval_s)
    replies = Replies(stores=stores)
    expiry = Expiry(stores=stores, timing=settings.timing, accept=accept, replies=replies)
    owners = Owners(stores, settings.timing, settings.connector_endpoints)
    return Services(
        stores=stores,
        ingest=ingest,
        accept=accept,
        send=Send(
            stores=stores,
            timing=settings.timing,
            accept=accept,
            owners=owners,
            connector=connector,
            queue=queue,
            running=Running(),
            expiry=expiry,
            diagnosis=diagnosis,
            replies=replies,
        ),
        queue=queue,
        flush=flush,
        sweep=Sweep(
            rows=RowSweep(stores, settings.timing, ingest),
            requests=RequestSweep(stores, settings.timing, accept, queue, expiry),
            codes=CodeSweep(stores=stores),
            pauses=PauseSweep(stores=stores),
            owners=OwnerSweep(stores=stores, timing=settings.timing, connector=connector),
            alerts=AlertSweep(stores=stores, timing=settings.timing),
        ),
        accounts=Accounts(stores=stores, connector=connector, flush=flush),
        conversations=Conversations(
            stores=stores, lookups=Lookups(stores=stores, connector=connector, key=log_hash_key(os.environ))
        ),
        decisions=Decisions(stores=stores, accept=accept, queue=queue, replies=replies),
        flush_callers=TokenVerifier(
            audience=settings.flush_url,
            service_account=settings.connector_service_account,
            certs_url=settings.certs_url,
        ),
    )


_lock = threading.Lock()


def services() -> Services:
    """This process's workflows. Not before a worker's first event: gRPC clients do not survive the server's fork."""
    with _lock:
        return _services()


@functools.cache
def posting() -> tuple[Webhook | None, Timing]:
    """What posts alerts. Apart from the other services: only its function is given the secret."""
    return configured(httpx.Client()), read_timing()


@functools.cache
def _services() -> Services:
    return build(read_settings())
