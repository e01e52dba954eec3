"""Why the network does not do what it was asked: the engine turns these into gRPC statuses, the control API into HTTP ones."""


class Refused(Exception):
    """The base of all of them; the text says what was wrong."""


class Malformed(Refused):
    """The request itself is wrong."""


class Unknown(Refused):
    """It names something that is not there: an account that is not open, a contact, a message."""


class NotPossible(Refused):
    """It cannot be done in this state: a stale epoch, a session that is not connected, a code that has run out."""
