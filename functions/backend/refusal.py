"""How a workflow says no to its caller, whatever the protocol."""

from core.errors import ErrorCode


class Refused(Exception):
    """What was asked for is not done; `detail` says what was wrong and what to do, and quotes nothing."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
