"""A check: its name, what it needs, and a function that examines a deployment and returns findings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector.admin.doctor.patient import Patient


class Result(StrEnum):
    OK = "ok"
    WRONG = "wrong"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row of the table."""

    result: Result
    found: str
    what_to_do: str = ""
    about: str = ""
    """What the finding is about, such as a connector's address; empty if there is only one thing of its kind."""
    counts: bool = True
    """Whether the finding changes the exit status. What does not exist on an emulator does not count."""


class Need(Enum):
    """What a check needs."""

    REPORT = auto()
    """The functions' answer to the canary row."""
    GOOGLE_CLOUD = auto()
    """A project on Google Cloud, and `gcloud` with credentials that may read it."""


Examine = Callable[["Patient"], Sequence[Finding]]


@dataclass(frozen=True, kw_only=True)
class Check:
    name: str
    examine: Examine
    needs: frozenset[Need] = field(default_factory=frozenset)


def ok(found: str, *, about: str = "") -> Finding:
    return Finding(result=Result.OK, found=found, about=about)


def wrong(found: str, what_to_do: str, *, about: str = "") -> Finding:
    return Finding(result=Result.WRONG, found=found, what_to_do=what_to_do, about=about)


def not_checked(why: str, what_to_do: str = "", *, about: str = "", counts: bool = True) -> Finding:
    """A finding that says why the check cannot be made here. It does not mean "ok"."""
    return Finding(result=Result.NOT_CHECKED, found=why, what_to_do=what_to_do, about=about, counts=counts)
