"""Checks the signed calls in each direction: the functions call every connector, and each connector calls threadlineFlush."""

from collections.abc import Sequence

from connector.admin.doctor.check import Check, Finding, Need, ok, wrong
from connector.admin.doctor.patient import Patient
from connector.admin.doctor.report import Call, Report

_REPORT = frozenset({Need.REPORT})


def _to_connectors(patient: Patient) -> Sequence[Finding]:
    report = patient.report
    if not report.connectors:
        return [wrong("CONNECTOR_ENDPOINTS is empty", "Set it in functions/.env.PROJECT, and deploy the functions.")]
    return [_call_of(each.call, report, about=each.endpoint) for each in report.connectors]


def _to_functions(patient: Patient) -> Sequence[Finding]:
    return [_flush(each.flush, patient.report, about=each.endpoint) for each in patient.report.answering]


def _call_of(call: Call, report: Report, *, about: str) -> Finding:
    if call.is_answered:
        return ok("the connector accepted the functions' token", about=about)
    match call.status, call.code:
        case 401, str():
            said, todo = (
                "the connector refused the functions' token: it is none for its address",
                "Compare PUBLIC_ENDPOINT of the connector with this address, in one URL form (docs/deploy.md), and the clocks.",
            )
        case 403, str():
            said, todo = (
                "the connector refused the functions' service account",
                f"Set FUNCTIONS_SERVICE_ACCOUNT of the connector to {report.functions_service_account}.",
            )
        case 404, str():
            said, todo = (
                "the connector is older than the functions: it does not support the diagnosis",
                "Deploy the connector of this version (docs/rollout.md).",
            )
        case 503, "unauthenticated":
            said, todo = (
                "the connector has no key set to verify tokens with",
                "Look whether the connector reaches www.googleapis.com.",
            )
        case _:
            said, todo = _platform(
                call, "the connector", f"{report.functions_service_account}, on the connector's service"
            )
    return wrong(said, todo, about=about)


def _flush(call: Call, report: Report, *, about: str) -> Finding:
    if call.is_answered:
        return ok("the functions accepted the connector's token", about=about)
    match call.status, call.code:
        case 401, str():
            said, todo = (
                "the functions refused the connector's token: it is none for flush",
                f"Set FLUSH_URL of the connector to {report.flush_url}, and look at the clocks.",
            )
        case 403, str():
            said, todo = (
                "the functions refused the connector's service account",
                f"Run the connector as {report.connector_service_account}, or set CONNECTOR_SERVICE_ACCOUNT of the functions and deploy them.",
            )
        case 400, "invalid_request":
            said, todo = (
                "the functions are older than the connector",
                "Deploy the functions of this version (docs/rollout.md).",
            )
        case _:
            said, todo = _platform(call, "threadlineFlush", f"{report.connector_service_account}, on threadlineflush")
    return wrong(said, todo, about=about)


def _platform(call: Call, callee: str, invoker: str) -> tuple[str, str]:
    """The outcomes without an answer of the called application: the platform answered, or nobody did."""
    match call.outcome, call.status:
        case "no_identity", _:
            return (
                "the caller was given no identity token",
                "Look whether the caller's service account exists and is enabled.",
            )
        case "refused", 401 | 403:
            return (
                f"Cloud Run refused the call before it reached {callee} (status {call.status})",
                f"Grant roles/run.invoker to {invoker}; look whether the caller runs as that account.",
            )
        case "refused", 429:
            return f"Cloud Run had no instance of {callee}", "Look whether the service runs, and at its log."
        case "refused", int() as status:
            return f"{callee} answered with status {status} {call.code or ''}".rstrip(), f"Read the log of {callee}."
        case _:
            return f"{callee} could not be reached", f"Look whether {callee} runs, and whether its address is right."


CHECKS = (
    Check(name="functions call a connector", needs=_REPORT, examine=_to_connectors),
    Check(name="a connector calls the functions", needs=_REPORT, examine=_to_functions),
)
