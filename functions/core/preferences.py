"""A user's preferences of a thread (`pinned`, `muted`, `customLabel`, `lastReadAt`), when the thread becomes part of another one."""

from collections.abc import Mapping
from datetime import datetime


def joined(
    canonical: Mapping[str, object], former: Mapping[str, object], *, is_former_newer: bool
) -> dict[str, object]:
    """The user's preferences of both threads together.

    What is pinned or muted in either stays so. The thread is read until the later `lastReadAt`. Of two labels, and of fields that
    only a later version knows, those that were written last count. A field that neither has stays away.
    """
    older, newer = (canonical, former) if is_former_newer else (former, canonical)
    both = {**older, **newer}
    for name in ("pinned", "muted"):
        if name in both:
            both[name] = canonical.get(name) is True or former.get(name) is True
    read = [at for each in (older, newer) if isinstance(at := each.get("lastReadAt"), datetime)]
    if read:
        both["lastReadAt"] = max(read)
    label = newer.get("customLabel") or older.get("customLabel")
    if label:
        both["customLabel"] = label
    return both
