"""What a drill is, and the line of the table that it fills."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.alert_types import AlertType

if TYPE_CHECKING:
    from local.drills.case import Case


@dataclass(frozen=True, kw_only=True)
class Drill:
    name: str
    """Also its accounts'."""
    cause: str
    """As docs/runbook.md names it, where it has a row there."""
    run: "Callable[[Case], None]"
    alert: AlertType | None = None
    """What must be open while the cause stands, and no other."""
    also: frozenset[AlertType] = frozenset()
    """What is open on the way to the cause."""
    accounts: int = 1
    is_new: bool = False
    """Its account does not exist before."""
    of_all: bool = False
    """Its alert names no account."""
    at_the_end: bool = False
    """It strikes everybody, so it runs alone, and all other accounts rest."""
    is_long: bool = False
    """It waits for minutes: it begins before the others."""


@dataclass(kw_only=True)
class Line:
    """What came of it. Seconds from the provocation, and from what ended it."""

    drill: Drill
    done: str = ""
    account: str = ""
    shown_after_s: float | None = None
    alert: str = ""
    alert_after_s: float | None = None
    ended_by: str = ""
    over_after_s: float | None = None
    findings: list[str] = field(default_factory=list)
