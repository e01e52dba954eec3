"""All drills, in the order of the table."""

from local.drills import everybody, messages, rows, sessions
from local.drills.drill import Drill

DRILLS: tuple[Drill, ...] = (*sessions.DRILLS, *messages.DRILLS, *rows.DRILLS, *everybody.DRILLS)
