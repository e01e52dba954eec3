"""All drills, in the order of the table."""

from local.drills import sessions
from local.drills.drill import Drill

DRILLS: tuple[Drill, ...] = (*sessions.DRILLS,)
