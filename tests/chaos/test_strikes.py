"""The schedule of strikes, and the portions of a conversation that they fall into."""

from local.chaos.campaign import last_words, portions_of
from local.chaos.strikes import COMMITS, FREEZE_POINTS, POINTS, Group, Kind, draw_strikes
from local.faults.cast import Request, make_cast, with_last_words
from local.network.trouble import Break
from local.production.holds import Moment
from local.whatsapp import NetworkKind

REAL, SIMULATED = NetworkKind.REAL, NetworkKind.SIMULATED


def test_a_seed_repeats_its_schedule_and_another_has_another() -> None:
    assert draw_strikes(7, 50, REAL) == draw_strikes(7, 50, REAL)
    assert draw_strikes(7, 50, REAL) != draw_strikes(8, 50, REAL)
    assert draw_strikes(7, 20, REAL) == draw_strikes(7, 50, REAL)[:20]


def test_1000_strikes_have_every_kind_point_commit_and_way_to_break_often() -> None:
    strikes = draw_strikes(7, 1000, REAL)
    for kind in set(Kind) - {Kind.STOLEN}:
        assert sum(strike.kind is kind for strike in strikes) >= 10, kind
    for point in POINTS:
        assert sum(strike.kind is Kind.ENGINE_AT_POINT and strike.point == point for strike in strikes) >= 5
    for commit in COMMITS:
        assert any((strike.kind, strike.commit) == (Kind.FROZEN_AT_COMMIT, commit) for strike in strikes)
        for moment in Moment:
            killed = (Kind.CONNECTOR_AT_COMMIT, commit, moment)
            assert any((strike.kind, strike.commit, strike.moment) == killed for strike in strikes)
    assert {strike.how for strike in strikes if strike.kind is Kind.SOCKET} == set(Break)


def test_the_simulated_network_has_no_engine_to_strike() -> None:
    kinds = {strike.kind for strike in draw_strikes(7, 1000, SIMULATED)}
    engines = {Kind.ENGINE, Kind.ENGINE_AT_POINT, Kind.FROZEN_ENGINE, Kind.FROZEN_BOTH, Kind.FROZEN_AT_POINT}
    assert kinds == set(Kind) - engines - {Kind.STOLEN}


def test_a_group_asked_for_is_all_there_is() -> None:
    strikes = draw_strikes(7, 200, REAL, [Group.FROZEN])
    assert {strike.kind for strike in strikes} == {kind for kind in Kind if kind.name.startswith("FROZEN")}
    assert {strike.freeze_point for strike in strikes if strike.kind is Kind.FROZEN_AT_POINT} == set(FREEZE_POINTS)


def test_portions_and_last_words_hold_every_message_once_in_the_order_of_its_chat() -> None:
    cast = with_last_words(make_cast(7, 0, 40))
    portions, last = portions_of(cast, 5), last_words(cast)
    written = [message for portion in portions for message in portion] + last
    asked = [request.text for request in cast.all_requests()] + [inbound.text for inbound in cast.all_inbound()]
    assert sorted(message.text for message in written) == sorted(asked)
    for chat in cast.chats:
        for requests in (True, False):
            places = [m.place for m in written if m.chat == chat and isinstance(m, Request) is requests]
            assert places == sorted(places)
            assert sum(m.chat == chat and isinstance(m, Request) is requests for m in last) == 1
    assert max(map(len, portions)) <= 2 * min(map(len, portions))
