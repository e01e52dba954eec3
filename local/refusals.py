"""Why a stand-in does not do what it was asked: turned into HTTP statuses by control APIs, into gRPC ones by the engine."""


class Refused(Exception):
    """The base of all of them; the text says what was wrong."""


class Malformed(Refused):
    """The request itself is wrong."""


class Unknown(Refused):
    """It names something that is not there: an account that is not open, a contact, a message."""


class NotPossible(Refused):
    """It cannot be done in this state: a stale epoch, a session that is not connected, a code that has run out."""
