"""How a command ends: its exit status, and what is said where it could not do what was asked."""

from enum import IntEnum


class ExitStatus(IntEnum):
    DONE = 0
    NOT_DONE = 1
    WRONG_USAGE = 2
    NOT_CHECKED = 2
    """The doctor's: what it was to check could not be checked. The same status, since in both cases nothing is known to be wrong."""
    NOT_FOUND = 3
    INTERRUPTED = 130


class Failed(Exception):
    """What was asked for is not done. The words say what was wrong and what to do."""

    status = ExitStatus.NOT_DONE


class WrongUsage(Failed):
    status = ExitStatus.WRONG_USAGE


class NotFound(Failed):
    status = ExitStatus.NOT_FOUND


class NotChecked(Failed):
    """The doctor found nothing wrong, and could not check everything."""

    status = ExitStatus.NOT_CHECKED
