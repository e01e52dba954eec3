"""Checks that functions, connectors and engines run the same code as this command line."""

import re
from collections.abc import Sequence

from connector.admin.doctor.check import Check, Finding, Need, ok, wrong
from connector.admin.doctor.patient import Patient
from connector.admin.doctor.report import Connector, Release
from connector.engine import CONTRACT
from core import contract, release

_REPORT = frozenset({Need.REPORT})
OURS = Release(version=release.VERSION, build=release.build(), contract=contract.VERSION)
_ORDER = "in the order of docs/rollout.md"


def _functions(patient: Patient) -> Sequence[Finding]:
    theirs = patient.report.release
    difference = _difference(theirs, OURS, "the functions", "this command line")
    if difference is None:
        return [ok(str(theirs))]
    advice = f"Deploy the older side, {_ORDER}; run the doctor from the code that is deployed."
    return [wrong(difference, advice)]


def _connectors(patient: Patient) -> Sequence[Finding]:
    found = []
    for connector in patient.report.answering:
        difference = _difference(connector.release, patient.report.release, "the connector", "the functions")
        if difference is None:
            found.append(ok(str(connector.release), about=connector.endpoint))
        else:
            found.append(wrong(difference, f"Deploy the older side, {_ORDER}.", about=connector.endpoint))
    return found


def _engines(patient: Patient) -> Sequence[Finding]:
    versions = {_whatsmeow(connector) for connector in patient.report.answering} - {""}
    found = []
    for connector in patient.report.answering:
        engine, about = connector.engine, connector.endpoint
        if engine.get("outcome") != "answered":
            todo = "Read the connector's log (engine_failed, start_failed); the connector starts its engine again by itself."
            found.append(wrong("the engine does not answer its connector", todo, about=about))
        elif engine.get("contract") != CONTRACT:
            said = f"the engine speaks version {engine.get('contract')} of engine.proto, the connector {CONTRACT}"
            found.append(wrong(said, "Build the connector's image again: it holds both.", about=about))
        elif len(versions) > 1:
            said = f"whatsmeow {_whatsmeow(connector) or 'unknown'}, while other connectors have another version"
            found.append(wrong(said, "Deploy the same image to every shard.", about=about))
        else:
            found.append(ok(f"contract {CONTRACT}, whatsmeow {_whatsmeow(connector) or 'unknown'}", about=about))
    return found


def _whatsmeow(connector: Connector) -> str:
    return str(connector.engine.get("whatsmeow") or "")


def _difference(theirs: Release, ours: Release, they: str, we: str) -> str | None:
    """How two sides differ that do not run the same code, in words."""
    for their_part, our_part, what in (
        (theirs.contract, ours.contract, "contract version"),
        (_parts(theirs.version), _parts(ours.version), "version"),
    ):
        if their_part != our_part:
            is_older = their_part is None or (our_part is not None and their_part < our_part)  # type: ignore[operator] # both of a kind
            return f"{they}: {theirs}, {'older' if is_older else 'newer'} than {we}: {ours} (another {what})"
    if theirs.build != ours.build:
        return f"{they}: {theirs}, another build than {we}: {ours}"
    return None


def _parts(version: str | None) -> tuple[int, ...] | None:
    return tuple(int(part) for part in re.findall(r"\d+", version)) if version else None


CHECKS = (
    Check(name="version of the functions", needs=_REPORT, examine=_functions),
    Check(name="version of a connector", needs=_REPORT, examine=_connectors),
    Check(name="engine of a connector", needs=_REPORT, examine=_engines),
)
