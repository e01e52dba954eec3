"""The schedule of strikes, and the portions of a conversation that they fall into."""

from local.chaos.campaign import in_their_turn, last_words, take_portion
from local.chaos.strikes import (
    CLAIMS_RACED,
    COMMITS,
    FREEZE_POINTS,
    POINTS,
    SPARES,
    Group,
    Kind,
    draw_legs,
    draw_strikes,
    points_to_meet,
)
from local.faults.cast import Request, make_cast, with_last_words
from local.network.trouble import Break
from local.production.commits import CommitKind
from local.production.holds import Moment
from local.whatsapp import NetworkKind

REAL, SIMULATED = NetworkKind.REAL, NetworkKind.SIMULATED


def test_a_seed_repeats_its_schedule_and_another_has_another() -> None:
    assert draw_strikes(7, 50, REAL) == draw_strikes(7, 50, REAL)
    assert draw_strikes(7, 50, REAL) != draw_strikes(8, 50, REAL)
    assert draw_strikes(7, 20, REAL) == draw_strikes(7, 50, REAL)[:20]


def test_what_is_met_at_random_while_faults_last_is_each_strikes_and_seeds_own() -> None:
    seeds = [strike.fault_seed for seed in (7, 8) for strike in draw_strikes(seed, 1000, REAL)]
    assert len(set(seeds)) == len(seeds)


def test_a_leg_has_strikes_of_its_own_for_those_that_meet_nobody() -> None:
    legs = list(draw_legs(7, 600, REAL, in_one=250))
    assert [strike for strikes, _ in legs for strike in strikes] == draw_strikes(7, 600, REAL)
    assert [len(strikes) for strikes, _ in legs] == [250, 250, 100]
    assert [len(spares) for _, spares in legs] == [SPARES] * 3
    numbers = [strike.number for part in zip(*legs, strict=True) for strikes in part for strike in strikes]
    assert numbers == list(range(600 + 3 * SPARES)), "each is another's: they name the accounts that are paired"
    assert legs == list(draw_legs(7, 600, REAL, in_one=250))


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
    left, last = in_their_turn(cast), last_words(cast)
    portions = [take_portion(left, strikes, 5) for strikes in range(5, 0, -1)]
    portions.append(left)
    written = [message for portion in portions for message in portion] + last
    asked = [request.text for request in cast.all_requests()] + [inbound.text for inbound in cast.all_inbound()]
    assert sorted(message.text for message in written) == sorted(asked)
    for chat in cast.chats:
        for requests in (True, False):
            places = [m.place for m in written if m.chat == chat and isinstance(m, Request) is requests]
            assert places == sorted(places)
            assert sum(m.chat == chat and isinstance(m, Request) is requests for m in last) == 1
    assert max(map(len, portions)) <= 2 * min(map(len, portions))


def test_what_a_thousand_strikes_must_meet_is_drawn_among_them() -> None:
    """Each moment that is asked for is one that strikes are aimed at."""
    for network in NetworkKind:
        strikes = draw_strikes(7, 1000, network)
        killed = {
            f"connector killed {s.moment} a commit: {s.commit}" for s in strikes if s.kind is Kind.CONNECTOR_AT_COMMIT
        }
        killed |= {
            f"function killed {s.moment} an outcome's commit" for s in strikes if s.kind is Kind.FUNCTION_AT_OUTCOME
        }
        killed |= {f"engine killed at {s.point}" for s in strikes if s.kind is Kind.ENGINE_AT_POINT}
        pairings = [s for s in strikes if s.kind is Kind.PAIRING]
        killed |= {f"connector killed in a pairing, {s.moment} its state was told" for s in pairings if s.passes == 1}
        killed |= {"connector killed in a pairing, after the code was entered" for s in pairings if s.passes == 2}
        killed |= {str(s.kind) for s in strikes}
        raced = {(s.kind, s.commit, s.moment) for s in strikes}
        assert (Kind.FROZEN_AT_COMMIT, CommitKind.CLAIM, Moment.BEFORE) in raced
        assert set(points_to_meet(network)) - {CLAIMS_RACED} <= killed
