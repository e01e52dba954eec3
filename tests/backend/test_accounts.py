"""createAccount: one account however often it is called, and a quick answer however silent the shards are."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.api_core.exceptions import Aborted

from backend.accounts import Accounts
from backend.deployment import CALLABLE_TIMEOUT_S
from backend.refusal import Refused
from core import schema
from core.account import DesiredState
from core.errors import ErrorCode
from core.ids import AccountId, InvalidId, new_account_id
from tests.backend.refused_commits import refused
from tests.backend.world import World

SHARDS = 4


@pytest.fixture(autouse=True)
def _forget_created(world: World) -> Iterator[None]:
    """Deletes the accounts: an account without an owner would raise an alert in another test."""
    before = {each.id for each in world.db.collection(schema.LEASES).stream()}
    yield
    for lease in world.db.collection(schema.LEASES).stream():
        if lease.id not in before:
            lease.reference.delete()


@contextmanager
def silent_shards(count: int) -> Iterator[frozenset[str]]:
    """Shards that accept a connection and never answer."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        yield frozenset(f"http://127.0.0.1:{each.getsockname()[1]}" for each in sockets)


@contextmanager
def shards_that_wait_for_each_other(count: int) -> Iterator[frozenset[str]]:
    """Shards of which none answers before all of them were asked."""
    all_asked = threading.Barrier(count)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            all_asked.wait(60)
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the base class gives
            """Nothing."""

    with ExitStack() as stack:
        servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(count)]
        for server in servers:
            server.daemon_threads = True
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield frozenset(f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
        all_asked.abort()


def accounts_before(world: World, shards: frozenset[str]) -> Accounts:
    """The functions of a project with these shards."""
    return replace(world.services.accounts, connector=replace(world.services.accounts.connector, allowed=shards))


def named(world: World, name: str) -> list[str]:
    return [each.id for each in world.db.collection(schema.ACCOUNTS).stream() if each.get("name") == name]


def test_a_person_who_creates_an_account_before_silent_shards_is_answered_in_time(world: World) -> None:
    created, began = AccountId(f"{world.account}-new"), time.monotonic()
    with silent_shards(SHARDS) as shards:
        assert accounts_before(world, shards).create("Shop 2", created) == created
    assert time.monotonic() - began < CALLABLE_TIMEOUT_S
    assert world.db.collection(schema.LEASES).document(created).get().exists


def test_shards_are_notified_side_by_side(world: World) -> None:
    with shards_that_wait_for_each_other(SHARDS) as shards:
        assert accounts_before(world, shards).connector.poke(None, world.account)


def test_one_shard_that_answers_is_enough(world: World) -> None:
    with silent_shards(SHARDS) as shards:
        connector = accounts_before(world, shards | {world.endpoint}).connector
        assert connector.poke(None, world.account)
    assert world.account in world.connector.poked


def test_an_account_is_created_once_however_often_its_creator_tries(world: World) -> None:
    name, key = f"Shop {world.account}", f"key-{world.account}"
    ids = {world.services.accounts.create(name, new_account_id(key)) for _ in range(3)}
    assert named(world, name) == list(ids)


def test_without_a_key_each_call_creates_an_account() -> None:
    assert new_account_id(None) != new_account_id(None)
    assert new_account_id("a") != new_account_id("b")


def test_a_second_creation_changes_nothing_of_the_account(world: World) -> None:
    before = world.db.collection(schema.ACCOUNTS).document(world.account).get().to_dict()
    lease = world.lease()
    world.services.accounts.create("Shop", world.account)
    assert world.db.collection(schema.ACCOUNTS).document(world.account).get().to_dict() == before
    assert world.lease() == lease


def test_an_id_that_another_account_has_is_refused(world: World) -> None:
    with pytest.raises(Refused) as raised:
        world.services.accounts.create("Another shop", world.account)
    assert raised.value.code is ErrorCode.ACCOUNT_EXISTS


def test_half_an_account_is_not_answered_as_one(world: World) -> None:
    """No connector would ever own it."""
    world.db.collection(schema.LEASES).document(world.account).delete()
    with pytest.raises(Refused) as raised:
        world.services.accounts.create("Shop", world.account)
    assert raised.value.code is ErrorCode.ACCOUNT_EXISTS


def test_an_account_that_firestore_gave_up_to_create_is_created_and_not_refused_as_taken(world: World) -> None:
    created = AccountId(f"{world.account}-new")
    with refused(Aborted("too much contention on these documents"), touching=created):
        assert world.services.accounts.create("Shop 2", created) == created
    assert world.db.collection(schema.ACCOUNTS).document(created).get().get("name") == "Shop 2"


def test_limits_and_wishes_are_tried_again_where_firestore_gave_up(world: World) -> None:
    with refused(Aborted("contention"), touching=schema.ACCOUNTS):
        limits = world.services.accounts.limits(world.account, {"coldPerDay": 7})
    assert limits["coldPerDay"] == {"value": 7, "isDefault": False}
    with refused(Aborted("contention"), touching=schema.LEASES):
        world.services.accounts.set_desired_state(world.account, DesiredState.PAUSED)
    assert not world.lease().wanted


@pytest.mark.parametrize("written", ["+40 (0)712 345 678", "0040 712-345-678", "0712 345 678"])
def test_the_number_of_a_phone_code_may_be_written_as_people_write_it(world: World, written: str) -> None:
    """The last one is the national form of the country that the account's number is of."""
    world.db.collection(schema.ACCOUNTS).document(world.account).update(
        {"status": "needs_qr", "phoneE164": "+40799999999"}
    )
    world.services.accounts.pair(world.account, written)
    command = world.lease().command
    assert command is not None
    assert command.phone_e164 == "+40712345678"


def test_a_national_form_is_refused_of_an_account_that_never_had_a_number(world: World) -> None:
    world.db.collection(schema.ACCOUNTS).document(world.account).update({"status": "needs_qr", "phoneE164": None})
    with pytest.raises(InvalidId):
        world.services.accounts.pair(world.account, "0712 345 678")
