"""A pause is told: by the account's owner, or, where it has none, with the wish itself."""

from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud.firestore import DocumentReference

from backend.stores import Commit, Stores
from core import schema
from core.account import NEVER, DesiredState, claim_fields
from core.ids import AccountId, WorkerId
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


def test_a_pause_that_meets_a_claim_is_left_to_the_new_owner(unowned: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes between the look at the lease and the commit."""
    commit_of, claims = Stores.commit, [unowned.account]

    def commit(stores: Stores) -> Commit:
        begun = commit_of(stores)
        if claims:
            run = begun.run
            claimed = claims.pop()

            def run_late() -> list[datetime]:
                claim(unowned, claimed)
                return run()

            monkeypatch.setattr(begun, "run", run_late)
        return begun

    monkeypatch.setattr(Stores, "commit", commit)
    unowned.services.accounts.set_desired_state(unowned.account, DesiredState.PAUSED)
    assert standing(unowned)["status"] == "qr_ready"
    assert (unowned.lease().owner, unowned.lease().wanted) == ("w2", False)


def claim(world: World, account: AccountId) -> None:
    fields = claim_fields(world.lease(), WorkerId("w2"), world.endpoint, datetime.now(UTC), 3600)
    world.db.collection(schema.LEASES).document(account).update(fields)
