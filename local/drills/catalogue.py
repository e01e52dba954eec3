"""All drills, in the order of the table."""

from local.drills import everybody, first_day, messages, rows, sessions
from local.drills.drill import Drill

DRILLS: tuple[Drill, ...] = (*sessions.DRILLS, *messages.DRILLS, *rows.DRILLS, *first_day.DRILLS, *everybody.DRILLS)
