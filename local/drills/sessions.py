"""What WhatsApp does to one account's session."""

import time
from datetime import UTC, datetime, timedelta

from connector.hearing import Pattern
from connector.silence import LEAST_SLOTS, Silence
from core import schema
from core.account import DesiredState
from core.alert_types import Condition
from core.errors import ErrorCode
from local.drills.case import Case
from local.drills.drill import Drill
from local.drills.ground import until
from local.drills.people import another_number
from local.network.faults import FaultKind
from local.network.trouble import Break

_BAN_S = 15.0
_HEARD_AN_HOUR = 10.0
"""Slots of the twelve that an hour has."""
_SHORT_OF_DEAF_S = 3.0


def _pair_again(case: Case) -> None:
    case.mend("`pair ACCOUNT`", case.pair)
    case.is_over(status="connected")
    case.talks()


def _resume(case: Case) -> None:
    case.mend("`resume ACCOUNT`", lambda: case.ground.admin.show(case.drill.name, "resume", case.name))
    case.is_over(status="connected")
    case.talks()


def unlinked(case: Case) -> None:
    case.strike("the device was removed on the phone", lambda: case.ground.network.log_out(case.account.phone))
    case.shows(status="needs_qr", disconnectReason="device_removed", lastError="logged_out...")
    case.alerts()
    case.screens("accounts", "account", "alerts")
    _pair_again(case)


def refused_401(case: Case) -> None:
    case.strike("the login was answered with 401", lambda: case.ground.network.refuse_logins(case.account.phone, 401))
    case.shows(status="needs_qr", disconnectReason="connect_failure_401", lastError="logged_out...")
    case.alerts()
    _pair_again(case)


def replaced(case: Case) -> None:
    case.await_session()
    case.strike("the session was opened elsewhere", lambda: case.ground.network.replace(case.account.phone))
    case.shows(status="error", disconnectReason="conflict", lastError="replaced...")
    case.alerts()
    case.screens("account")
    _resume(case)


def outdated(case: Case) -> None:
    case.strike("logins were answered with 405", lambda: case.ground.network.refuse_logins(case.account.phone, 405))
    case.shows(status="error", disconnectReason="client_outdated", lastError="outdated...")
    case.alerts()
    case.screens("account")
    case.ground.network.reconnect(case.account.phone)  # as after the deployment of a newer engine
    _resume(case)


def quarantined(case: Case) -> None:
    """The store says what it says after two crashes at the account without a stanza in hand."""
    store = case.ground.store
    assert store is not None
    noted = f"""INSERT INTO engine_crashes (account_id, crashes, unexplained, crashed_ms)
        VALUES ('{case.name}', 2, 2, {int(time.time() * 1000)})"""  # noqa: S608 - a drill's own account

    def open_anew() -> None:
        _rest(case)
        store.query(noted)
        case.ground.admin.show(case.drill.name, "resume", case.name)

    case.strike("two crashes of the engine were noted at the account, and it was opened anew", open_anew)
    case.shows(status="error", disconnectReason="engine_crashed", lastError="quarantined...")
    case.alerts()
    case.screens("account")
    _resume(case)


def other_number(case: Case) -> None:
    other = another_number(case.people)
    case.ground.network.log_out(case.account.phone)
    case.strike("another phone was given the code of `pair ACCOUNT`", lambda: case.pair(other))
    case.shows(status="error", lastError="other_number...")
    case.alerts()
    case.screens("account")
    _pair_again(case)


def nobody_owns_it(case: Case) -> None:
    lease = case.ground.db.collection(schema.LEASES).document(case.name)
    epoch = (lease.get().to_dict() or {})["epoch"]
    case.strike("somebody took the epoch out of its lease", lambda: lease.update({"epoch": None}))
    case.alerts()
    case.stands()
    case.screens("account", "alerts")
    case.mend("the lease has an epoch again, a higher one", lambda: lease.update({"epoch": epoch + 1}))
    case.is_over(status="connected")
    case.talks()


def broken(case: Case) -> None:
    network = case.ground.network
    case.strike("the TCP connection was reset", lambda: network.disconnect(case.account.phone, Break.RESET))
    case.shows(status="reconnecting", disconnectReason="disconnected", reconnectCount=1)
    case.mend("by itself, when WhatsApp was reached again", lambda: network.reconnect(case.account.phone))
    case.is_over(status="connected", disconnectReason=None)
    case.talks()


def banned(case: Case) -> None:
    refuse = case.ground.network.refuse_logins
    case.strike(
        f"logins were answered with 402, for {_BAN_S:.0f} s", lambda: refuse(case.account.phone, 402, seconds=_BAN_S)
    )
    told = case.shows(status="error", disconnectReason="temporary_ban", lastError="banned...", bannedUntil=datetime)
    case.alerts()
    case.screens("account", "alerts")
    case.ground.network.reconnect(case.account.phone)

    def ends() -> None:
        time.sleep(max(0.0, (told["bannedUntil"] - datetime.now(UTC)).total_seconds()))

    case.mend("by itself, from `bannedUntil` on", ends)
    case.mended_at = time.monotonic()
    case.is_over(status="connected", bannedUntil=None)
    case.talks()


def paused(case: Case) -> None:
    admin = case.ground.admin
    case.strike("`pause ACCOUNT`", lambda: admin.show(case.drill.name, "pause", case.name))
    case.shows(status="disconnected", disconnectReason="paused")
    case.screens("account")
    _resume(case)


def _rest(case: Case) -> None:
    """Until its lease is given back, with all that its owner had to say."""
    case.ground.want([case.account], DesiredState.PAUSED)
    until(lambda: case.ground.crew.owner_of(case.account.account_id) is None, "the lease is given back", 30.0)


def _wake(case: Case) -> None:
    case.ground.want([case.account], DesiredState.CONNECTED)


def gap(case: Case) -> None:
    """A message of those that had waited is announced and never comes, and the phone, which has it, is off."""
    network = case.ground.network
    case.await_row(case.write_in("known"))
    _rest(case)
    off = network.fault(FaultKind.PHONE_OFF, account=case.account.phone, times=None)
    network.fault(FaultKind.LOSE_BACKLOG, contact=case.people.contact)
    keys = [case.write_in("waiting") for _ in range(3)]
    case.strike("one of three messages that had waited was announced and never came", lambda: _wake(case))
    case.shows(
        status="connected", degraded=True, degradedReason="gap: ...", syncGapStartAt=datetime, syncGapEndAt=datetime
    )
    case.alerts()
    case.screens("account", "alerts")
    case.mend("the phone was switched on", lambda: network.clear_faults(off))
    case.is_over(status="connected", syncGapStartAt=None, syncGapEndAt=None)
    for key in keys:
        case.await_row(key)
    case.talks()


def undecryptable(case: Case) -> None:
    network = case.ground.network
    case.await_row(case.write_in("known"))
    off = network.fault(FaultKind.PHONE_OFF, account=case.account.phone, times=None)
    network.fault(FaultKind.UNREADABLE, contact=case.people.contact)
    keys: list[str] = []
    case.strike("a message came that could not be decrypted", lambda: keys.append(case.write_in("unreadable")))
    case.await_row(case.write_in("known, too"))
    case.shows(status="connected", degraded=True, degradedReason="gap: ...", syncGapStartAt=datetime)
    case.alerts()
    case.screens("account")
    case.mend("the phone was switched on", lambda: network.clear_faults(off))
    case.is_over(status="connected", syncGapStartAt=None)
    case.await_row(keys[0])
    case.talks()


def _has_been_silent(case: Case) -> None:
    """For 50 minutes, a few seconds short of what is taken for deaf: it is put into its lease, since weeks cannot be waited for."""
    _rest(case)
    busy = Pattern(means=[_HEARD_AN_HOUR] * 168, weeks=[8] * 168)
    missed = LEAST_SLOTS - _HEARD_AN_HOUR * _SHORT_OF_DEAF_S / 3600
    silence = Silence(least=timedelta(minutes=30), pattern=busy, lasted=timedelta(minutes=50), missed=missed)
    lease = case.ground.db.collection(schema.LEASES).document(case.name)
    lease.update({"hearing": silence.stored(datetime.now(UTC))})


def deaf(case: Case) -> None:
    _has_been_silent(case)
    case.ground.network.fault(FaultKind.DEAF, account=case.account.phone, times=1)
    _wake(case)
    keys: list[str] = []
    case.strike(
        "after 50 silent minutes (put into its lease) its connection handed a message not over",
        lambda: keys.append(case.write_in("unheard")),
    )
    case.shows(degraded=True, degradedReason="deaf: ...", reconnectCount=1)
    case.alerts()
    case.mend("by itself: it was opened anew, and heard what had waited", lambda: None)
    case.mended_at = case.struck_at + (case.line.alert_after_s or 0.0)  # the moment of the reset
    case.is_over(status="connected", reconnectCount=1)
    case.await_row(keys[0])
    case.talks()


def quiet(case: Case) -> None:
    _has_been_silent(case)
    case.strike("after 50 silent minutes (put into its lease) nobody wrote", lambda: _wake(case))
    case.shows(status="connected", degraded=True, degradedReason="deaf: ...", reconnectCount=1)
    case.alerts()
    case.screens("account", "alerts")
    keys: list[str] = []
    case.mend("a contact wrote", lambda: keys.append(case.write_in("heard")))
    case.is_over(status="connected")
    case.await_row(keys[0])
    case.talks()


def phone_not_seen(case: Case) -> None:
    """Twelve days cannot be waited for: the account's document is given a time that lies so far back."""
    network = case.ground.network
    _rest(case)
    off = network.fault(FaultKind.PHONE_OFF, account=case.account.phone, times=None)
    long_ago = datetime.now(UTC) - timedelta(days=12.5)
    case.ground.db.collection(schema.ACCOUNTS).document(case.name).update({"phoneLastSeenAt": long_ago})
    case.strike("the phone was off for twelve days (put into its document)", lambda: _wake(case))
    case.shows(status="connected", degraded=True, degradedReason="phone_not_seen: ...")
    case.alerts()
    case.screens("account", "alerts")

    def switch_on() -> None:
        network.clear_faults(off)
        network.type_on_phone(case.account.phone, case.people.contact, "typed on the phone")

    case.mend("somebody wrote on the phone", switch_on)
    case.is_over(status="connected")
    case.talks()


DRILLS = (
    Drill(name="broken", cause="the connection broke", run=broken),
    Drill(
        name="unlinked",
        cause="unlinked on the phone, or by WhatsApp: the device was removed",
        alert=ErrorCode.LOGGED_OUT,
        run=unlinked,
    ),
    Drill(
        name="refused_401",
        cause="unlinked on the phone, or by WhatsApp: login failure 401",
        alert=ErrorCode.LOGGED_OUT,
        run=refused_401,
    ),
    Drill(name="replaced", cause="its session was opened elsewhere", alert=ErrorCode.REPLACED, run=replaced),
    Drill(name="outdated", cause="the engine is too old", alert=ErrorCode.OUTDATED, run=outdated),
    Drill(name="quarantined", cause="its events crash the engine", alert=ErrorCode.QUARANTINED, run=quarantined),
    Drill(name="banned", cause="banned for a time", alert=ErrorCode.BANNED, run=banned),
    Drill(
        name="other_number",
        cause="paired with a wrong phone",
        alert=ErrorCode.OTHER_NUMBER,
        also=frozenset({ErrorCode.LOGGED_OUT}),
        run=other_number,
    ),
    Drill(name="gap", cause="messages are missing: announced", alert=Condition.GAP, run=gap),
    Drill(name="undecryptable", cause="messages are missing: not decrypted", alert=Condition.GAP, run=undecryptable),
    Drill(name="deaf", cause="connected, but silent: deaf", alert=Condition.DEAF, run=deaf),
    Drill(name="quiet", cause="connected, but silent: a quiet day", alert=Condition.DEAF, run=quiet),
    Drill(name="phone_not_seen", cause="the phone sleeps", alert=Condition.PHONE_NOT_SEEN, run=phone_not_seen),
    Drill(name="nobody_owns_it", cause="nobody owns it", alert=Condition.NO_OWNER, run=nobody_owns_it),
    Drill(name="paused", cause="paused by a person", run=paused),
)
