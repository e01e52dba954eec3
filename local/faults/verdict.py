"""What a judge says of a round: what is broken, where, and how often."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Broken(StrEnum):
    LOST = "lost"
    DUPLICATED = "duplicated"
    OUT_OF_ORDER = "out_of_order"
    STUCK = "stuck"
    MISCOUNTED = "miscounted"


@dataclass(frozen=True, kw_only=True)
class Finding:
    broken: Broken
    where: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`adjacent_repeats` are frames that came twice in a row: WhatsApp shows them once. `uncertain` are requests that ended as
    `outcome_unknown` and never reached their contact."""

    findings: Sequence[Finding]
    adjacent_repeats: int
    uncertain: int

    def count(self, broken: Broken) -> int:
        return sum(finding.broken is broken for finding in self.findings)


def totals(verdicts: Sequence[Verdict]) -> Counter[Broken]:
    return Counter({broken: sum(verdict.count(broken) for verdict in verdicts) for broken in Broken})
