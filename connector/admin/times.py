"""Times as people read them."""

from datetime import datetime

_STEPS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def span(seconds: float) -> str:
    """In the largest unit of which there are two or more: 90 s, 5 min, 30 h, 3 d."""
    for length_s, unit in _STEPS:
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def ago(at: object, now: datetime) -> str:
    return f"{span((now - at).total_seconds())} ago" if isinstance(at, datetime) else "never"


def age(at: object, now: datetime) -> str:
    return span((now - at).total_seconds()) if isinstance(at, datetime) else "-"


def clock(at: object) -> str:
    """This machine's time of day, with the date where it is another day's."""
    if not isinstance(at, datetime):
        return "?"
    local = at.astimezone()
    today = datetime.now(local.tzinfo).date()
    return local.strftime("%H:%M:%S") if local.date() == today else local.strftime("%Y-%m-%d %H:%M:%S")
