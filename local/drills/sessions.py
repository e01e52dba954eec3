"""What WhatsApp does to one account's session."""

from core.errors import ErrorCode
from local.drills.case import Case
from local.drills.drill import Drill
from local.drills.people import another_number


def _pair(case: Case, phone: str) -> bool:
    """With the real command; the code that it shows is typed into this phone."""
    return case.ground.admin.pair(case.drill.name, case.name, phone, lambda code: _typed(case, phone, code))


def _typed(case: Case, phone: str, code: str) -> None:
    case.ground.network.enter_code(phone, code)


def _pair_again(case: Case) -> None:
    case.mend("`pair ACCOUNT`", lambda: _pair(case, case.account.phone))
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


def other_number(case: Case) -> None:
    other = another_number(case.people)
    case.ground.network.log_out(case.account.phone)
    case.strike("another phone was given the code of `pair ACCOUNT`", lambda: _pair(case, other))
    case.shows(status="error", lastError="other_number...")
    case.alerts()
    case.screens("account")
    _pair_again(case)


DRILLS = (
    Drill(name="unlinked", cause="unlinked on the phone", alert=ErrorCode.LOGGED_OUT, run=unlinked),
    Drill(name="refused_401", cause="unlinked by WhatsApp", alert=ErrorCode.LOGGED_OUT, run=refused_401),
    Drill(name="replaced", cause="its session was opened elsewhere", alert=ErrorCode.REPLACED, run=replaced),
    Drill(name="outdated", cause="the engine is too old", alert=ErrorCode.OUTDATED, run=outdated),
)
