"""Checks how far the clocks of functions, connectors and this machine are from Firestore's."""

from collections.abc import Sequence

from connector.admin.doctor.check import Check, Finding, Need, not_checked, ok, wrong
from connector.admin.doctor.patient import Patient
from connector.admin.doctor.report import Clock

LIMIT_S = 2.5
"""The largest offset from Firestore's clock. Two workers then differ by at most 5 s, which leases tolerate (docs/architecture.md, "One owner, and clocks")."""
_REPORT = frozenset({Need.REPORT})


def _own(patient: Patient) -> Sequence[Finding]:
    return [
        _finding(
            patient.canary.own_clock, "Set this machine's clock (NTP). Its times go into the documents that it writes."
        )
    ]


def _functions(patient: Patient) -> Sequence[Finding]:
    return [
        _finding(patient.report.clock, "Google sets this clock: deploy the functions again, or ask Google's support.")
    ]


def _connectors(patient: Patient) -> Sequence[Finding]:
    todo = "Start the connector anew on another machine; outside Google Cloud, run NTP there."
    return [
        _finding(connector.clock.against(patient.report.clock), todo, about=connector.endpoint)
        for connector in patient.report.answering
    ]


def _finding(clock: Clock, what_to_do: str, *, about: str = "") -> Finding:
    """A clock is wrong only if its offset is over the limit even after the uncertainty of the measurement is subtracted."""
    if clock.offset_s is None:
        return not_checked("it did not report its time", about=about)
    said = f"{clock.offset_s:+.1f} s from Firestore's, give or take {clock.uncertainty_s:.1f} s"
    if abs(clock.offset_s) - clock.uncertainty_s > LIMIT_S:
        return wrong(f"{said}; {LIMIT_S} s are allowed", what_to_do, about=about)
    if clock.uncertainty_s > LIMIT_S:
        return not_checked(f"{said}: the calls are too slow to measure it", "Run the doctor again.", about=about)
    return ok(said, about=about)


CHECKS = (
    Check(name="clock of this machine", examine=_own),
    Check(name="clock of the functions", needs=_REPORT, examine=_functions),
    Check(name="clock of a connector", needs=_REPORT, examine=_connectors),
)
