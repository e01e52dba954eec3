"""TIME_SCALE: the one factor on the time constants of all parts."""

import os

from core.timing import Timing


def time_scale() -> float:
    """1 unless set. Raises ValueError unless it is a number above 0."""
    factor = float(os.environ.get("TIME_SCALE", "1"))
    Timing().scaled(factor)  # its check is the product's
    return factor
