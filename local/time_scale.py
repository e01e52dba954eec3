"""TIME_SCALE: the one factor on the times of functions, connector and what stands in for the cloud; the engine has none."""

import os

from core.timing import Timing


def time_scale() -> float:
    """1 unless set. Raises ValueError unless it is a number above 0."""
    factor = float(os.environ.get("TIME_SCALE", "1"))
    Timing().scaled(factor)  # its check is the product's
    return factor
