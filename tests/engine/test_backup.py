"""`wa-engine backup` and `restore`: on both kinds of store, while messages flow, and what is refused."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from connector.clock import now_s
from connector.contract import engine_pb2 as pb
from local import engine_build
from tests.engine.conftest import ANA, Linked, link
from tests.engine.running import PATIENCE_S, TERM_S, Account, Outcome, RunningEngine, State
from tests.engine.stores import PostgresStore
from tests.whatsapp import WhatsAppServer

KINDS = ["sqlite", "postgres"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    said: str
    complained: str


@dataclass(frozen=True, kw_only=True)
class Stores:
    """A store in use, and empty ones."""

    used: str
    empty: dict[str, str]
    folder: Path


async def _command(store: str, *arguments: str | Path) -> Answer:
    process = await asyncio.create_subprocess_exec(
        engine_build.RELEASE_ENGINE,
        *arguments,
        env={**os.environ, "ENGINE_STORE": store},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode is not None
    return Answer(status=process.returncode, said=said.decode().strip(), complained=complained.decode().strip())


async def _key(folder: Path, name: str = "key") -> tuple[Path, str]:
    made = await _command("", "new-key", "--file", folder / name)
    assert made.status == 0, made.complained
    return folder / name, made.said


@pytest.fixture
async def stores(request: pytest.FixtureRequest, store: PostgresStore, tmp_path: Path) -> Stores:
    restored = PostgresStore(server=store.server)
    await restored.create()
    used = {"sqlite": f"sqlite:{tmp_path}/used.db", "postgres": store.address("used")}[request.param]
    empty = {"sqlite": f"sqlite:{tmp_path}/restored.db", "postgres": restored.address("restored")}
    return Stores(used=used, empty=empty, folder=tmp_path)


@pytest.fixture
async def engine(server: WhatsAppServer, stores: Stores) -> AsyncIterator[RunningEngine]:
    async with RunningEngine(store=stores.used, environment=server.environment()) as engine:
        yield engine


@contextlib.asynccontextmanager
async def _conversation(linked: Linked, account: Account) -> AsyncIterator[None]:
    async def talk() -> None:
        for number in range(100_000):
            await linked.ana.send(linked.phone, f"in {number}")
            await account.send(linked.ana_jid, f"3EB0{number:08X}", f"out {number}")

    talking = asyncio.create_task(talk())
    try:
        yield
    finally:
        talking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await talking


async def _opened(engine: RunningEngine, *, epoch: int, mark: int) -> tuple[Account, pb.OpenResponse]:
    account = engine.account("shop", epoch=epoch)
    request = pb.OpenRequest(session=account.session, term_ends_ms=int((now_s() + TERM_S) * 1000), store_mark=mark)
    opened: pb.OpenResponse = await engine.stub.Open(request, timeout=PATIENCE_S)
    await account.follow()
    return account, opened


async def _talks(server: WhatsAppServer, linked: Linked, account: Account, what: str) -> None:
    await linked.ana.send(linked.phone, f"{what}, in")
    await account.until_message(f"{what}, in")
    sent = await account.send(linked.ana_jid, f"3EB0{what.encode().hex().upper()}", f"{what}, out")
    assert sent.outcome == Outcome.SENT
    await server.until(lambda: linked.ana.inbox and linked.ana.inbox[-1].text == f"{what}, out", what="it to be shown")


def _has_more_than(linked: Linked, count: int) -> bool:
    return len(linked.ana.inbox) > count


async def _mark(account: Account) -> int:
    closed = await account.stub.Close(pb.CloseRequest(session=account.session), timeout=PATIENCE_S)
    await account.leave()
    return int(closed.store_mark)


@pytest.mark.parametrize("into", KINDS)
@pytest.mark.parametrize("stores", KINDS, indirect=True)
async def test_a_backup_after_a_clean_stop_goes_on_in_a_store_of_either_kind(
    server: WhatsAppServer, stores: Stores, engine: RunningEngine, linked: Linked, into: str
) -> None:
    await _talks(server, linked, linked.account, "before")
    mark = await _mark(linked.account)
    assert await engine.stop() == 0
    key, public = await _key(stores.folder)
    file = stores.folder / "backup"
    made = await _command(stores.used, "backup", "--file", file, "--recipient", public)
    assert (made.status, made.complained) == (0, "")
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    restored = await _command(stores.empty[into], "restore", "--file", file, "--identity", key)
    assert restored.status == 0, restored.complained
    assert restored.said.split()[0] == made.said.split()[0] != "0"
    again = await _command(stores.empty[into], "restore", "--file", file, "--identity", key)
    assert (again.status, again.said) == (1, "")
    assert "not empty" in again.complained
    async with RunningEngine(store=stores.empty[into], environment=server.environment()) as other:
        account, opened = await _opened(other, epoch=2, mark=mark)
        assert opened.paired
        await account.connected()
        await linked.device.ready()
        for what in ("after", "after that"):
            await _talks(server, linked, account, what)
        assert [frame.id for frame in server.frames() if not frame.decryptable] == []
        assert not any('"undecryptable"' in line for line in other.log)
        await account.leave()


@pytest.mark.parametrize("stores", KINDS, indirect=True)
async def test_a_backup_while_messages_flow_holds_up_nobody_and_is_told_for_what_it_is_when_restored(
    server: WhatsAppServer, stores: Stores, engine: RunningEngine, linked: Linked
) -> None:
    key, public = await _key(stores.folder)
    file = stores.folder / "backup"
    async with _conversation(linked, linked.account):
        for number in range(3):
            goal = len(linked.ana.inbox) + 3
            made = await _command(stores.used, "backup", "--file", file, "--recipient", public)
            assert (made.status, made.complained) == (0, "")
            await server.until(partial(_has_more_than, linked, goal), what=f"{number}: it to go on")
    mark = await _mark(linked.account)
    assert await engine.stop() == 0
    sqlite = stores.empty["sqlite"]
    assert (await _command(sqlite, "restore", "--file", file, "--identity", key)).status == 0
    async with RunningEngine(store=sqlite, environment=server.environment()) as other:
        account, opened = await _opened(other, epoch=2, mark=mark)
        assert not opened.paired
        assert (await account.until_state(State.LOGGED_OUT)).reason == "store_behind"
        await linked.phone.unlink(linked.device)
        code = await account.pair()
        device = await linked.phone.scan(code.qr)
        await account.connected()
        await device.ready()
        for what in ("after", "after that"):
            await _talks(server, linked, account, what)
        assert [frame.id for frame in server.frames() if not frame.decryptable] == []
        await account.leave()


@pytest.mark.parametrize("stores", ["postgres"], indirect=True)
async def test_a_backup_holds_one_moment_whatever_is_committed_while_it_reads(
    store: PostgresStore, stores: Stores, engine: RunningEngine
) -> None:
    """On PostgreSQL, whose statements would each see a moment of their own. A writer holds up one of the tables until the backup has
    come to it, and commits a row there then."""
    assert await engine.stop() == 0
    _, public = await _key(stores.folder)
    backup = ("backup", "--file", stores.folder / "backup", "--recipient", public)
    before = await _command(stores.used, *backup)
    writing = asyncio.create_task(store.query(_WRITE_WHEN_SOMEBODY_WAITS))
    while await store.query(_LOCKED) != "1\n":
        assert not writing.done()
    during = await _command(stores.used, *backup)
    await writing
    after = await _command(stores.used, *backup)
    counts = [int(answer.said.split()[0]) for answer in (before, during, after)]
    assert counts == [counts[0], counts[0], counts[0] + 1]


_LOCKED = "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND relation = 'engine_marks'::regclass"
_WRITE_WHEN_SOMEBODY_WAITS = """
DO $$ BEGIN
    LOCK TABLE engine_marks IN ACCESS EXCLUSIVE MODE;
    FOR look IN 1..1500 LOOP
        EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'engine_marks'::regclass);
        PERFORM pg_sleep(0.02);
    END LOOP;
    INSERT INTO engine_marks (account_id, frames, behind) VALUES ('shop', 1, FALSE);
END $$
"""


@pytest.mark.parametrize("stores", ["sqlite"], indirect=True)
async def test_what_is_no_whole_backup_for_this_key_is_refused_and_nothing_is_written(
    server: WhatsAppServer, stores: Stores, engine: RunningEngine, linked: Linked
) -> None:
    """Cut off or changed anywhere."""
    key, public = await _key(stores.folder)
    other_key, _ = await _key(stores.folder, "other")
    file = stores.folder / "backup"
    assert (await _command(stores.used, "backup", "--file", file, "--recipient", public)).status == 0
    raw = file.read_bytes()
    assert b"whatsmeow" not in raw
    assert ANA[1:].encode() not in raw
    changed = bytearray(raw)
    changed[len(raw) // 2] ^= 1
    bad = {"cut": raw[: len(raw) // 2], "cut at the end": raw[:-1], "changed": bytes(changed), "foreign": b"hello" * 99}
    path = stores.folder / "bad"
    restored = stores.folder / "restored.db"
    for name, content in {"other key": raw, **bad}.items():
        path.write_bytes(content)
        identity = other_key if name == "other key" else key
        answer = await _command(stores.empty["sqlite"], "restore", "--file", path, "--identity", identity)
        assert (answer.status, answer.said) == (1, ""), name
        words = {"other key": "this key", "foreign": "no backup"}.get(name, "cut off or was changed")
        assert words in answer.complained, name
        assert not restored.exists(), name
    assert (await _command(stores.empty["sqlite"], "restore", "--file", file, "--identity", key)).status == 0


async def test_a_backup_that_fails_leaves_the_one_before_it(tmp_path: Path) -> None:
    _, public = await _key(tmp_path)
    (tmp_path / "backup").write_text("of yesterday")
    missing = f"sqlite:{tmp_path}/missing.db"
    answer = await _command(missing, "backup", "--file", tmp_path / "backup", "--recipient", public)
    assert answer.status == 1
    assert (tmp_path / "backup").read_text() == "of yesterday"
    assert sorted(os.listdir(tmp_path)) == ["backup", "key"]


@pytest.mark.parametrize(
    "arguments",
    [["backup"], ["backup", "--file", "f"], ["backup", "--file", "f", "--recipient", "age1no"], ["restore"]],
)
async def test_a_command_that_lacks_something_says_how_it_is_used(arguments: list[str], tmp_path: Path) -> None:
    answer = await _command(f"sqlite:{tmp_path}/store.db", *arguments)
    assert answer.status == 2
    assert "usage: wa-engine" in answer.complained


async def test_a_key_is_not_overwritten(tmp_path: Path) -> None:
    key, _ = await _key(tmp_path)
    before = key.read_text()
    assert (await _command("", "new-key", "--file", key)).status == 1
    assert key.read_text() == before


@pytest.fixture
async def linked(server: WhatsAppServer, engine: RunningEngine) -> AsyncIterator[Linked]:
    linked = await link(server, engine)
    yield linked
    await linked.account.leave()
