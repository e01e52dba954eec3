"""How a command ends: its exit status, and what is said where it could not do what was asked."""

from enum import IntEnum


class ExitStatus(IntEnum):
    DONE = 0
    NOT_DONE = 1
    WRONG_USAGE = 2
    NOT_FOUND = 3
    INTERRUPTED = 130


class Failed(Exception):
    """What was asked for is not done. The words say what was wrong and what to do."""

    status = ExitStatus.NOT_DONE


class WrongUsage(Failed):
    status = ExitStatus.WRONG_USAGE


class NotFound(Failed):
    status = ExitStatus.NOT_FOUND
