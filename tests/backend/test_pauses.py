"""A pause is told: by the account's owner; where it has none, with the wish itself; and where its owner dies, by the sweeper."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.firestore import DocumentReference

from backend.steps import Steps
from backend.stores import Commit, Stores
from core import schema
from core.account import NEVER, DesiredState, claim_fields, release_fields, wanted_fields
from core.ids import WorkerId
from tests.backend.world import World


@pytest.fixture
def unowned(world: World) -> World:
    """Its owner was killed a while ago, in the middle of a pairing."""
    account(world).update({"status": "qr_ready", "assignedWorkerId": "w1"})
    private(world).set({"qrCodeDataUrl": "data:image/png;base64,AAAA"})
    world.db.collection(schema.LEASES).document(world.account).update({"leaseUntil": NEVER})
    return world


def account(world: World) -> DocumentReference:
    return world.db.collection(schema.ACCOUNTS).document(world.account)


def private(world: World) -> DocumentReference:
    state: DocumentReference = account(world).collection(schema.PRIVATE).document(schema.PRIVATE_STATE)
    return state


def standing(world: World) -> dict[str, Any]:
    return account(world).get().to_dict() or {}


def test_a_pause_of_an_account_that_nobody_owns_is_told_with_it(unowned: World) -> None:
    unowned.services.accounts.set_desired_state(unowned.account, DesiredState.PAUSED)
    told = standing(unowned)
    assert (told["status"], told["disconnectReason"], told["assignedWorkerId"]) == ("disconnected", "paused", None)
    assert (private(unowned).get().to_dict() or {})["qrCodeDataUrl"] is None, "nobody else would erase it"
    assert not unowned.lease().wanted


def test_what_was_paused_while_nobody_owned_it_can_be_paired_again(world: World) -> None:
    world.db.collection(schema.LEASES).document(world.account).update({"leaseUntil": NEVER})
    world.services.accounts.set_desired_state(world.account, DesiredState.PAUSED)
    world.services.accounts.pair(world.account, None)
    assert (world.lease().wanted, world.lease().command is not None) == (True, True)


def test_a_pause_is_left_to_its_owner_to_tell(world: World) -> None:
    """It has to close the session first."""
    world.services.accounts.set_desired_state(world.account, DesiredState.PAUSED)
    assert (standing(world)["status"], standing(world)["desiredState"]) == ("connected", "paused")


def test_a_resumption_tells_nothing_of_a_session(unowned: World) -> None:
    unowned.services.accounts.set_desired_state(unowned.account, DesiredState.CONNECTED)
    assert standing(unowned)["status"] == "qr_ready"


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Has something happen between the look at the lease and the next commit."""

    def happens(event: Callable[[], object]) -> None:
        commit_of, events = Stores.commit, [event]

        def commit(stores: Stores) -> Commit:
            begun = commit_of(stores)
            if events:
                run, due = begun.run, events.pop()

                def run_late() -> list[datetime]:
                    due()
                    return run()

                monkeypatch.setattr(begun, "run", run_late)
            return begun

        monkeypatch.setattr(Stores, "commit", commit)

    return happens


def test_a_pause_that_meets_a_claim_is_left_to_the_new_owner(
    unowned: World, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    meanwhile(
        lambda: write_lease(unowned, claim_fields(unowned.lease(), WorkerId("w2"), unowned.endpoint, now(), 3600))
    )
    unowned.services.accounts.set_desired_state(unowned.account, DesiredState.PAUSED)
    assert standing(unowned)["status"] == "qr_ready"
    assert (unowned.lease().owner, unowned.lease().wanted) == ("w2", False)


def test_a_pause_that_meets_a_release_is_told_with_it(
    world: World, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    """The owner has gone without having seen it."""
    meanwhile(lambda: write_lease(world, release_fields(now())))
    world.services.accounts.set_desired_state(world.account, DesiredState.PAUSED)
    assert (standing(world)["status"], standing(world)["disconnectReason"]) == ("disconnected", "paused")
    assert (world.lease().owner, world.lease().wanted) == (None, False)


def paused_under_its_owner(world: World) -> None:
    """Who is killed before it has seen that."""
    private(world).set({"qrCodeDataUrl": "data:image/png;base64,AAAA"})
    world.services.accounts.set_desired_state(world.account, DesiredState.PAUSED)


def test_a_pause_whose_owner_died_before_it_could_tell_is_told_by_the_sweeper(world: World) -> None:
    paused_under_its_owner(world)
    assert world.services.sweep.run().paused == 0
    assert (standing(world)["status"], world.lease().owner) == ("connected", "w1"), "it may be alive"
    write_lease(world, {"leaseUntil": now() - timedelta(seconds=1)})
    floor = world.lease().received_at_floor()
    assert world.services.sweep.run().paused == 1
    told = standing(world)
    assert (told["status"], told["disconnectReason"], told["assignedWorkerId"]) == ("disconnected", "paused", None)
    assert (private(world).get().to_dict() or {})["qrCodeDataUrl"] is None
    lease = world.lease()
    assert (lease.owner, lease.endpoint, lease.wanted, lease.command) == (None, None, False, None)
    assert lease.received_at_floor() > floor
    assert world.services.sweep.run().paused == 0


def test_a_resumption_that_the_sweeper_meets_stands(
    world: World, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    paused_under_its_owner(world)
    write_lease(world, {"leaseUntil": now() - timedelta(seconds=1)})
    meanwhile(lambda: write_lease(world, wanted_fields(DesiredState.CONNECTED, now())))
    assert world.services.sweep.pauses.run(Steps(), now()) == 0
    assert (standing(world)["status"], world.lease().wanted) == ("connected", True)


def write_lease(world: World, fields: dict[str, object]) -> None:
    world.db.collection(schema.LEASES).document(world.account).update(fields)


def now() -> datetime:
    return datetime.now(UTC)
