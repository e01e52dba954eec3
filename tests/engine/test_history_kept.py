"""What the phone hands over of the past when a device is linked is kept in the store: WhatsApp does not offer it again."""

import asyncio
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from connector.contract import engine_pb2 as pb
from tests.engine.conftest import Linked
from tests.engine.running import PATIENCE_S, RunningEngine
from tests.whatsapp import WhatsAppServer
from tests.whatsapp.protobufs import history

KIB = 1024


async def settled(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s in vain: {what}"
        await asyncio.sleep(0.02)


def kept(store: Path) -> dict[str, list[bytes]]:
    """The parts' contents by their type, in the order in which they came, as whoever uses them will read them."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        parts = database.execute(
            "SELECT digest, sync_type, bytes FROM engine_history_parts WHERE account_id = 'shop' ORDER BY kept_ms, digest"
        ).fetchall()
        found: dict[str, list[bytes]] = {}
        for digest, sync_type, size in parts:
            chunks = "SELECT content FROM engine_history_chunks WHERE account_id = 'shop' AND digest = ? ORDER BY place"
            content = b"".join(chunk for (chunk,) in database.execute(chunks, (digest,)))
            assert len(content) == size
            found.setdefault(sync_type, []).append(zlib.decompress(content))
        return found


def count(store: Path, table: str) -> int:
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        return int(database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])  # noqa: S608 - a test's own name


def texts(part: bytes) -> list[str]:
    data = history.HistorySync()
    data.ParseFromString(part)
    return [
        message.message.message.conversation for conversation in data.conversations for message in conversation.messages
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


def random_text(size: int) -> str:
    """One that zlib makes no smaller than half."""
    return os.urandom(size // 2).hex()


async def test_what_comes_at_pairing_is_kept_over_restarts(linked: Linked, engine: RunningEngine, path: Path) -> None:
    past = [await linked.ana.send(linked.phone, f"past {number}") for number in range(3)]
    long = await linked.ana.send(linked.phone, random_text(600 * KIB))
    await linked.phone.send_history(linked.device, conversations=[(linked.ana, past)], sync_type="INITIAL_BOOTSTRAP")
    await linked.phone.send_history(linked.device, conversations=[(linked.ana, [long])], sync_type="RECENT")
    await linked.phone.send_history(linked.device, mappings=[linked.ana], sync_type="PUSH_NAME")
    await linked.device.caught_up()
    await settled(lambda: sum(map(len, kept(path).values())) == 3, "all three parts are kept")
    await settled(lambda: count(path, "engine_history") == 0, "nothing is left to be taken")
    assert texts(kept(path)["INITIAL_BOOTSTRAP"][0]) == ["past 0", "past 1", "past 2"]
    before = kept(path)
    assert count(path, "engine_history_chunks") > 3, "the long one is in several rows"
    await engine.kill()
    await engine.start()
    account = engine.account("shop")
    await account.open()
    await account.connected()
    assert kept(path) == before
    await account.leave()


async def test_the_oldest_part_makes_room_and_that_is_told_once(
    linked: Linked, engine: RunningEngine, path: Path
) -> None:
    await engine.kill()
    await engine.start(ENGINE_HISTORY_MIB="1")
    account = engine.account("shop")
    await account.open()
    await account.connected()
    await linked.device.ready()
    for number in range(3):
        past = [await linked.ana.send(linked.phone, f"{number} {random_text(800 * KIB)}")]
        await linked.phone.send_history(linked.device, conversations=[(linked.ana, past)], sync_type="RECENT")
        await settled(lambda: bool(kept(path)) and first_words(path)[-1] == str(number), "the part is kept")  # noqa: B023
    assert first_words(path) == ["1", "2"], "two parts of some 400 KiB fit into 1 MiB"
    dropped = await account.until(
        lambda: [event.history_dropped for event in account.events if event.HasField("history_dropped")], "it is told"
    )
    assert [(each.parts, each.bytes > 300 * KIB) for each in dropped] == [(1, True)]
    said = [json.loads(line) for line in engine.log if '"history_dropped"' in line]
    assert [(line["severity"], line["why"], line["parts"]) for line in said] == [("WARNING", "limit", 1)]
    await account.leave()


def first_words(path: Path) -> list[str]:
    return [texts(part)[0].split(" ")[0] for part in kept(path).get("RECENT", [])]


async def test_nothing_is_kept_where_the_setting_says_so(linked: Linked, engine: RunningEngine, path: Path) -> None:
    """What was kept before is removed, and who has which LID is learnt all the same."""
    await linked.phone.send_history(linked.device, mappings=[linked.ana], sync_type="RECENT")
    await settled(lambda: count(path, "engine_history_parts") == 1, "it is kept")
    await engine.kill()
    await engine.start(ENGINE_HISTORY_MIB="0")
    account = engine.account("shop")
    await account.open()
    await account.connected()
    await linked.device.ready()
    await settled(lambda: count(path, "engine_history_parts") == 0, "it is removed")
    await linked.phone.send_history(linked.device, mappings=[linked.ana], sync_type="FULL")
    await linked.device.caught_up()
    await settled(lambda: count(path, "engine_history") == 0, "it is taken")
    assert count(path, "engine_history_parts") == 0
    await account.leave()


@pytest.mark.parametrize("sync_type", ["ON_DEMAND", "INITIAL_STATUS_V3"])
async def test_what_was_asked_for_and_status_posts_are_not_kept(linked: Linked, path: Path, sync_type: str) -> None:
    await linked.phone.send_history(linked.device, mappings=[linked.ana], sync_type=sync_type)
    await linked.phone.send_history(linked.device, mappings=[linked.ana], sync_type="RECENT")
    await linked.device.caught_up()
    await settled(lambda: count(path, "engine_history_parts") == 1, "the other part is kept")
    await settled(lambda: count(path, "engine_history") == 0, "both are taken")
    assert list(kept(path)) == ["RECENT"]


@pytest.mark.parametrize("by", ["the connector", "the phone"])
async def test_a_logout_removes_what_is_kept(linked: Linked, path: Path, by: str) -> None:
    await linked.phone.send_history(linked.device, mappings=[linked.ana], sync_type="RECENT")
    await settled(lambda: count(path, "engine_history_parts") == 1, "it is kept")
    if by == "the connector":
        await linked.account.stub.Logout(pb.LogoutRequest(session=linked.account.session), timeout=PATIENCE_S)
    else:
        await linked.phone.unlink(linked.device)
        await linked.account.until_state(pb.SessionChanged.LOGGED_OUT)
    for table in ("engine_history", "engine_history_parts", "engine_history_chunks"):
        assert count(path, table) == 0, table


@pytest.mark.parametrize("point", ["inbox.entry:1", "history.saved:1", "history.chunk:2", "history.kept:1"])
async def test_a_part_survives_a_kill(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine, path: Path, point: str
) -> None:
    """WhatsApp may count it as taken before its handler runs, and never says it again."""
    words = random_text(1200 * KIB)
    past = [await linked.ana.send(linked.phone, words)]
    await linked.account.until_message(words)
    await linked.device.caught_up()
    await engine.kill()
    await engine.start(WIRE_DIE_AT=point)
    await engine.account("shop").open()
    await linked.device.ready()
    await linked.phone.send_history(linked.device, conversations=[(linked.ana, past)], sync_type="INITIAL_BOOTSTRAP")
    await engine.gone()
    linked.device.waiting.__init__()  # type: ignore[misc]  # WhatsApp has forgotten it
    await engine.start()
    account = engine.account("shop")
    await account.open()
    await account.connected()
    await settled(lambda: count(path, "engine_history_parts") == 1, "it is kept")
    await settled(lambda: count(path, "engine_history") == 0, "nothing is left to be taken")
    assert texts(kept(path)["INITIAL_BOOTSTRAP"][0]) == [words]
    await account.leave()


async def test_parts_on_the_media_host_are_downloaded_at_once_and_kept(
    server: WhatsAppServer, linked: Linked, path: Path
) -> None:
    """They lie there for some weeks alone."""
    for number in range(3):
        past = [await linked.ana.send(linked.phone, f"{number} {random_text(600 * KIB)}")]
        history_of = [(linked.ana, past)]
        await linked.phone.send_history(linked.device, conversations=history_of, sync_type="RECENT", upload=True)
    await linked.device.caught_up()
    await settled(lambda: count(path, "engine_history_parts") == 3, "all are kept")
    await settled(lambda: count(path, "engine_history") == 0, "nothing is left to be taken")
    assert sorted(first_words(path)) == ["0", "1", "2"]
    assert len(server.media.downloads) == 3, "each was downloaded once"


async def test_a_part_that_is_gone_from_the_media_host_is_told_and_keeps_back_no_other(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine, path: Path
) -> None:
    await engine.kill()
    for word in ("gone", "there"):
        past = [await linked.ana.send(linked.phone, word)]
        history_of = [(linked.ana, past)]
        await linked.phone.send_history(linked.device, conversations=history_of, sync_type="RECENT", upload=True)
    server.media.remove(linked.phone.uploads[0])
    await engine.start()
    account = engine.account("shop")
    await account.open()
    await account.connected()
    await settled(lambda: first_words(path) == ["there"], "the other one is kept")
    await settled(lambda: count(path, "engine_history") == 0, "nothing is left to be taken")
    assert [json.loads(line)["why"] for line in engine.log if '"history_dropped"' in line] == ["gone"]
    await account.leave()


async def test_a_download_that_was_cut_off_by_a_kill_is_made_again(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine, path: Path
) -> None:
    past = [await linked.ana.send(linked.phone, random_text(1200 * KIB))]
    await linked.device.caught_up()
    await engine.kill()
    await engine.start(WIRE_DIE_AT="history.chunk:2")
    await engine.account("shop").open()
    await linked.device.ready()
    history_of = [(linked.ana, past)]
    await linked.phone.send_history(linked.device, conversations=history_of, sync_type="FULL", upload=True)
    await engine.gone()
    assert count(path, "engine_history_parts") == 0, "half a part is none"
    await engine.start()
    account = engine.account("shop")
    await account.open()
    await settled(lambda: count(path, "engine_history_parts") == 1, "it is kept")
    assert len(texts(kept(path)["FULL"][0])) == 1
    assert len(server.media.downloads) == 2
    await account.leave()


async def test_the_history_that_comes_by_itself_at_pairing_is_kept_in_its_chunks(
    server: WhatsAppServer, engine: RunningEngine, path: Path
) -> None:
    phone = server.add_phone("+40711111111")
    people = [server.add_contact(f"+4072222222{number}", f"Contact {number}") for number in range(3)]
    phone.past = [(each, [await each.send(phone, f"past of {each.name}")]) for each in people]
    account = engine.account("shop")
    await account.open()
    device = await phone.scan((await account.pair()).qr)
    await account.connected()
    await device.caught_up()
    await settled(lambda: sum(map(len, kept(path).values())) == 3, "all three chunks are kept")
    parts = [history.HistorySync.FromString(part) for parts in kept(path).values() for part in parts]
    chunks = sorted((part.chunkOrder, part.progress) for part in parts)
    assert chunks == [(1, 33), (2, 66), (3, 100)]
    assert {text for parts in kept(path).values() for part in parts for text in texts(part)} == {
        f"past of {each.name}" for each in people
    }
    assert account.messages == [], "the past is no new message"
    await account.leave()
