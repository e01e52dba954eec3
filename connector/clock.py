"""The clock that the end of a term is told on: it runs on while a process is frozen or its machine sleeps, and nobody sets it.

The engine reads the same one (connector/engine/internal/term), so that an end which the connector names means the same moment there.
"""

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)
"""Linux has it. Elsewhere time.monotonic reads what Go calls CLOCK_UPTIME_RAW."""


def now_s() -> float:
    """Seconds since some moment before this process began."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)
