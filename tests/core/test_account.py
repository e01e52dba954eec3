from datetime import UTC, datetime, timedelta

import pytest

from core import account
from core.account import NEVER, CommandKind, Lease
from core.ids import AccountId, WorkerId

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
ME, OTHER = WorkerId("w1"), WorkerId("w2")


def claimed(at: datetime = AT) -> Lease:
    free = account.new_lease_document(at)
    return account.parse_lease(free | account.claim_fields(account.parse_lease(free), ME, "http://c", at, 24))


def test_a_new_lease_is_claimable_at_once() -> None:
    lease = account.parse_lease(account.new_lease_document(AT))
    assert lease.is_claimable(AT)
    assert (lease.epoch, lease.lease_until, lease.owner) == (0, NEVER, None)


def test_a_claim_starts_a_new_term() -> None:
    lease = claimed()
    assert lease.is_held_by(ME, 1)
    assert lease.is_held(AT + timedelta(seconds=23))
    assert not lease.is_claimable(AT + timedelta(seconds=23))
    assert lease.is_claimable(AT + timedelta(seconds=24))


def test_the_epoch_only_grows() -> None:
    again = account.claim_fields(claimed(), OTHER, "http://d", AT, 24)
    assert again["epoch"] == 2


@pytest.mark.parametrize("epoch", [None, "7", 7.0, True, -1, 2**63 - 1, 2**63, [7]])
def test_a_lease_whose_epoch_is_none_is_not_claimed(epoch: object) -> None:
    """Read as 0, the next term could go below one that the engine knows."""
    lease = account.parse_lease(account.new_lease_document(AT) | {"epoch": epoch})
    assert not lease.is_claimable(AT)
    assert not lease.is_held_by(ME, 0)
    with pytest.raises(ValueError, match="epoch"):
        account.claim_fields(lease, ME, "http://c", AT, 24)


def test_a_lease_without_an_epoch_is_not_claimed() -> None:
    document = account.new_lease_document(AT)
    del document["epoch"]
    assert not account.parse_lease(document).is_claimable(AT)


def test_the_last_epoch_but_one_is_followed_by_the_last() -> None:
    lease = account.parse_lease(account.new_lease_document(AT) | {"epoch": 2**63 - 2})
    assert lease.is_claimable(AT)
    assert account.claim_fields(lease, ME, "http://c", AT, 24)["epoch"] == 2**63 - 1
    assert account.parse_lease({"ownerInstanceId": ME, "epoch": 2**63 - 1}).is_held_by(ME, 2**63 - 1)


def test_a_term_is_over_for_its_worker_when_the_epoch_moved_even_under_its_own_name() -> None:
    assert not claimed().is_held_by(ME, 2)
    assert not claimed().is_held_by(OTHER, 1)


def test_an_unwanted_lease_is_not_claimed() -> None:
    lease = account.parse_lease(account.new_lease_document(AT) | {"wanted": False})
    assert not lease.is_claimable(AT)


def test_the_next_owner_receives_later_than_the_former_could_have() -> None:
    assert claimed().received_at_floor() == AT + timedelta(seconds=24)
    released = account.parse_lease(account.release_fields(AT + timedelta(seconds=3)))
    assert released.received_at_floor() == AT + timedelta(seconds=3)


def test_a_command_reads_back_as_it_was_written() -> None:
    for kind, phone in (
        (CommandKind.PAIR_QR, None),
        (CommandKind.LOGOUT, None),
        (CommandKind.CLOSE_GAP, None),
        (CommandKind.PAIR_CODE, "+40712345678"),
    ):
        command = account.new_command(kind, phone)
        assert account.parse_lease({"command": command.document()}).command == command


def test_what_is_no_command_reads_as_none() -> None:
    for value in (None, "pair", {}, {"id": "x", "kind": "dance"}, {"id": "x", "kind": "pair_code", "phoneE164": "12"}):
        assert account.parse_lease({"command": value}).command is None


def test_a_new_account_holds_every_field_of_the_schema() -> None:
    assert set(account.new_account_document(AccountId("a"), "Shop")) == {
        "accountId", "name", "phoneE164", "status", "lastSeenAt", "phoneLastSeenAt", "lastEventAt", "syncGapStartAt", "syncGapEndAt",
        "degraded", "degradedReason", "lastError", "disconnectReason", "reconnectCount", "lastSyncedAt", "lastSyncedKey",
        "desiredState", "assignedWorkerId",
    }  # fmt: skip


def claimed_at(*seconds: float) -> Lease:
    document = account.new_lease_document(AT)
    for at in seconds:
        fields = account.claim_fields(account.parse_lease(document), ME, "http://c", AT + timedelta(seconds=at), 24)
        document |= fields
    return account.parse_lease(document)


def test_the_fifth_claim_in_ten_minutes_is_noted_on_the_lease() -> None:
    assert claimed_at(0, 140, 280, 420).flapped_at is None
    assert claimed_at(0, 140, 280, 420, 560).flapped_at == AT + timedelta(seconds=560)


def test_claims_that_are_further_apart_are_not() -> None:
    lease = claimed_at(0, 151, 302, 453, 604, 755, 906)
    assert lease.flapped_at is None
    assert len(lease.recent_claims) == 4


def test_what_was_noted_stays_when_the_account_changes_hands_once_more_after_a_while() -> None:
    assert claimed_at(0, 1, 2, 3, 4, 5000).flapped_at == AT + timedelta(seconds=4)
