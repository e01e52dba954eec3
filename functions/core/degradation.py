"""What keeps an account from being whole although it is connected: the causes that stand at the same time, in one field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

_BETWEEN = "; "


class Cause(StrEnum):
    """Each is also the type of the alert that tells of it."""

    GAP = "gap"
    DEAF = "deaf"
    COLD_LOCKED = "cold_locked"
    PHONE_NOT_SEEN = "phone_not_seen"


@dataclass(kw_only=True)
class Degradation:
    """`degraded` and `degradedReason` of an account: `CAUSE: WORDS`, one after the other. The words hold no number and no `;`."""

    _reasons: dict[Cause, str] = field(default_factory=dict)

    def begin(self, cause: Cause, words: str) -> dict[str, object]:
        """The fields to write."""
        self._reasons[cause] = words.replace(";", ",")
        return self.fields()

    def end(self, cause: Cause) -> dict[str, object]:
        """The fields to write; none where it did not stand."""
        return self.fields() if self._reasons.pop(cause, None) is not None else {}

    def stands(self, cause: Cause) -> bool:
        return cause in self._reasons

    def fields(self) -> dict[str, object]:
        reasons = [f"{cause}: {self._reasons[cause]}" for cause in Cause if cause in self._reasons]
        return {"degraded": bool(reasons), "degradedReason": _BETWEEN.join(reasons) or None}


def parse_degradation(account: Mapping[str, object]) -> Degradation:
    """As an account's document says, whoever wrote it. What names no cause is left out."""
    reason, found = account.get("degradedReason"), Degradation()
    for part in reason.split(_BETWEEN) if isinstance(reason, str) else ():
        name, _, words = part.partition(": ")
        if name in list(Cause):
            found.begin(Cause(name), words)
    return found
