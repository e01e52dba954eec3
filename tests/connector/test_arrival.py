"""The two times of a row keep the order of arrival."""

from datetime import UTC, datetime, timedelta

import pytest

from connector.arrival import ArrivalOrder, ArrivalOrders
from core.account import Lease, claim_fields, new_lease_document, parse_lease
from core.ids import AccountId, WorkerId

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)
SECOND = int(NOW.timestamp())


def order(floor: datetime = NOW - timedelta(days=1)) -> ArrivalOrder:
    return ArrivalOrder(last_received_at=floor)


def claimed(lease: Lease, worker: str) -> Lease:
    """The lease as the next one to claim it leaves it."""
    return parse_lease(new_lease_document(NOW) | claim_fields(lease, WorkerId(worker), f"http://{worker}", NOW, 24))


def test_received_at_is_the_clocks_time() -> None:
    assert order().received_at(NOW) == NOW


def test_received_at_grows_though_the_clock_stands_still_or_is_set_back() -> None:
    arrivals = order()
    times = [arrivals.received_at(NOW - timedelta(seconds=back)) for back in (0, 0, 3600, 1)]
    assert times == sorted(set(times))


def test_received_at_lies_after_whatever_a_former_owner_wrote() -> None:
    floor = NOW + timedelta(seconds=20)
    assert order(floor).received_at(NOW) > floor


def test_a_fresh_events_timestamp_has_the_milliseconds_of_its_arrival() -> None:
    assert order().timestamp(SECOND, NOW, 1) == datetime.fromtimestamp(SECOND, UTC) + timedelta(milliseconds=250)


def test_an_older_events_timestamp_begins_at_its_whole_second() -> None:
    assert order().timestamp(SECOND - 60, NOW, 1) == datetime.fromtimestamp(SECOND - 60, UTC)


def test_events_of_one_second_get_growing_milliseconds() -> None:
    arrivals = order()
    stamps = [arrivals.timestamp(SECOND - 60, NOW, n) for n in range(3)]
    assert [stamp.microsecond for stamp in stamps] == [0, 1000, 2000]


def test_seconds_that_come_mixed_are_counted_apart() -> None:
    arrivals = order()
    stamps = [arrivals.timestamp(SECOND - back, NOW, 1).microsecond // 1000 for back in (60, 61, 60, 61)]
    assert stamps == [0, 0, 1, 1]


def test_a_crowded_second_keeps_its_order_and_ends_before_the_next() -> None:
    arrivals = order()
    stamps = [arrivals.timestamp(SECOND - 60, NOW, n) for n in range(1900)]
    assert stamps == sorted(set(stamps))
    assert int(stamps[-1].timestamp()) == SECOND - 60


def test_events_that_arrive_at_the_very_end_of_their_second_keep_their_order() -> None:
    arrivals, end = order(), NOW.replace(microsecond=985_500)
    stamps = [arrivals.timestamp(SECOND, end + n * timedelta(microseconds=100), n) for n in range(140)]
    assert stamps == sorted(set(stamps))


def test_new_owners_stamp_an_old_second_after_whatever_the_former_ones_did() -> None:
    """Leases ran out between the messages of one second: a later one must not be shown before an earlier one."""
    first = order()
    stamps = [first.timestamp(SECOND, NOW + timedelta(milliseconds=after), 1) for after in (0, 600)]
    for number in (2, 3, 4):
        successor = order(floor=NOW + timedelta(seconds=number))
        at = successor.received_at(NOW + timedelta(seconds=number))
        stamps += [successor.timestamp(SECOND, at, 10 * number + place) for place in range(3)]
    assert stamps == sorted(set(stamps))


def test_new_owners_stamp_a_second_that_a_former_ones_clock_had_not_reached_after_what_it_did() -> None:
    """Its clock was behind WhatsApp's when it gave the account back."""
    ahead_s = 5
    first = order()
    stamps = [first.timestamp(SECOND + ahead_s, NOW, number) for number in (1, 2)]
    successor = order(floor=NOW)
    at = successor.received_at(NOW + timedelta(seconds=ahead_s + 2))
    stamps += [successor.timestamp(SECOND + ahead_s, at, number) for number in (3, 4)]
    assert stamps == sorted(set(stamps))


def test_a_worker_that_follows_itself_goes_on_where_it_was() -> None:
    """However often its lease runs out within the messages of one second."""
    orders = ArrivalOrders(worker=WorkerId("w1"))
    lease = parse_lease(new_lease_document(NOW))
    terms = []
    for _ in range(3):
        terms.append(orders.begin_term(AccountId("a"), lease))
        lease = claimed(lease, "w1")
    late = NOW + timedelta(days=1)  # a second that no former owner had
    stamps = [term.timestamp(int(late.timestamp()), term.received_at(late), 1) for term in terms for _ in range(2)]
    assert stamps == sorted(set(stamps))


def test_a_worker_that_follows_another_begins_anew() -> None:
    free = parse_lease(new_lease_document(NOW))
    orders = ArrivalOrders(worker=WorkerId("w1"))
    first = orders.begin_term(AccountId("a"), free)
    assert orders.begin_term(AccountId("a"), claimed(free, "w2")) is not first


def test_a_worker_begins_anew_behind_a_claim_of_its_own_that_it_never_knew_of() -> None:
    """Its answer was lost, after another had its term: what that one stamped, nobody here has counted."""
    free = parse_lease(new_lease_document(NOW))
    orders = ArrivalOrders(worker=WorkerId("w1"))
    first = orders.begin_term(AccountId("a"), free)
    others = claimed(claimed(free, "w1"), "w2")
    assert orders.begin_term(AccountId("a"), claimed(others, "w1")) is not first


@pytest.mark.parametrize("second", [0, -1, 2**62])
def test_a_second_beyond_the_calendar_is_replaced_by_the_arrivals(second: int) -> None:
    assert int(order().timestamp(second, NOW, 1).timestamp()) == SECOND
