"""The schedule of strikes, and the portions of a conversation that they fall into."""

from local.chaos.campaign import portions_of
from local.chaos.strikes import POINTS, Victim, draw_strikes
from local.faults.cast import Request, make_cast


def test_a_seed_repeats_its_schedule_and_another_has_another() -> None:
    assert draw_strikes(7, 50) == draw_strikes(7, 50)
    assert draw_strikes(7, 50) != draw_strikes(8, 50)
    assert draw_strikes(7, 20) == draw_strikes(7, 50)[:20]


def test_300_strikes_have_every_victim_and_every_point_often() -> None:
    strikes = draw_strikes(7, 300)
    for victim in Victim:
        assert sum(strike.victim is victim for strike in strikes) >= 30
    for point in POINTS:
        assert sum(strike.plan.startswith(point) for strike in strikes) >= 10


def test_portions_hold_every_message_once_in_the_order_of_its_chat() -> None:
    cast = make_cast(7, 0, 40)
    portions = portions_of(cast, 5)
    written = [message for portion in portions for message in portion]
    asked = [request.text for request in cast.all_requests()] + [inbound.text for inbound in cast.all_inbound()]
    assert sorted(message.text for message in written) == sorted(asked)
    for chat in cast.chats:
        places = [m.place for m in written if m.chat == chat and isinstance(m, Request)]
        assert places == sorted(places)
    assert max(map(len, portions)) <= 2 * min(map(len, portions))
