"""Checks that the ingest trigger is called, and writes its report."""

from collections.abc import Sequence

from connector.admin.doctor.canary_row import Ending
from connector.admin.doctor.check import Check, Finding, ok, wrong
from connector.admin.doctor.patient import Patient
from connector.admin.times import span

_TRIGGER = (
    "Look at the Eventarc trigger of threadlineOnIngest (roles eventarc.eventReceiver and run.invoker of the functions' account) and at its "
    "log; deploy the functions. After a first deploy, Google needs some minutes."
)


def _examine(patient: Patient) -> Sequence[Finding]:
    canary = patient.canary
    match canary.ending:
        case Ending.REPORTED:
            return [ok(f"the functions answered in {canary.waited_s:.1f} s")]
        case Ending.NOT_TAKEN:
            return [wrong(f"no function processed the canary row within {span(patient.wait_s)}", _TRIGGER)]
        case Ending.SWEPT:
            return [wrong("only the sweeper processed the canary row: the trigger is not called", _TRIGGER)]
        case Ending.NOT_REPORTED:
            return [
                wrong(
                    f"threadlineOnIngest was called for the canary row, but wrote no report within {span(patient.wait_s)}",
                    "Read the log of threadlineOnIngest; a connector that hangs may delay the report.",
                )
            ]
        case Ending.OLDER_FUNCTIONS:
            return [
                wrong(
                    "the functions are older than this command line: they do not know the canary row",
                    "Deploy the functions of this version (docs/rollout.md). The alert event_type_unknown of account threadline-doctor is "
                    "of this canary, and resolved.",
                )
            ]


CHECKS = (Check(name="ingest trigger", examine=_examine),)
