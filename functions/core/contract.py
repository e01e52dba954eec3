"""The version of what functions and connector ask of each other, which every call between them names; they are deployed one after the other."""

HEADER = "Threadline-Contract"
VERSION = 2
"""Of the calls that this code makes. It grows when a peer of the version before could misunderstand them."""
OLDEST = 1
"""That this code still answers: the version before its own, so that either side may be deployed while calls go on."""


def complaint(named: str | None) -> str | None:
    """Why a call that names this version is not answered, and what to do; None where it is. Version 1 named none."""
    version = _number(named)
    if version is not None and OLDEST <= version <= VERSION:
        return None
    if version is not None and version < OLDEST:
        advice = "the caller is too old: deploy it anew"
    else:
        advice = "deploy this side first"
    return f"the call's contract version is not one of {OLDEST} to {VERSION}; {advice} (docs/rollout.md)"


def _number(named: str | None) -> int | None:
    if named is None:
        return 1
    return int(named) if named.isascii() and named.isdigit() and len(named) < 10 else None
