"""The version of what functions and connector ask of each other, which every call between them names; they are deployed one after the other."""

import re

HEADER = "Threadline-Contract"
VERSION = 2
"""Of the calls that this code makes. It grows when a peer of the version before could misunderstand them."""
OLDEST = 1
"""That this code still answers: the version before its own, so that either side may be deployed while calls go on."""


SERVED = f"{OLDEST} to {VERSION}"
_SERVED_IN_A_COMPLAINT = re.compile(r"is not one of (\d{1,9} to \d{1,9}); ", re.ASCII)


def complaint(named: str | None) -> str | None:
    """Why a call that names this version is not answered, and what to do; None where it is. Version 1 named none."""
    version = number(named)
    if version is not None and OLDEST <= version <= VERSION:
        return None
    if version is not None and version < OLDEST:
        advice = "the caller is too old: deploy it anew"
    else:
        advice = "deploy this side first"
    return f"the call's contract version is not one of {SERVED}; {advice} (docs/rollout.md)"


def served_in(complaint: object) -> str | None:
    """The versions that the peer serves, as its complaint names them: all of its words that may be logged."""
    found = _SERVED_IN_A_COMPLAINT.search(complaint) if isinstance(complaint, str) else None
    return found[1] if found else None


def number(named: str | None) -> int | None:
    """The version that a call names; None where what it names is none."""
    if named is None:
        return 1
    return int(named) if named.isascii() and named.isdigit() and len(named) < 10 else None
