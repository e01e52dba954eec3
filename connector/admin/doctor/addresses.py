"""Checks that functions, connectors and leases name the same addresses and service accounts, each address in one URL form."""

import re
from collections import defaultdict
from collections.abc import Sequence
from urllib.parse import urlsplit

from connector.admin.doctor.check import Check, Finding, Need, ok, wrong
from connector.admin.doctor.patient import Patient
from connector.admin.doctor.report import Connector, Report

_REPORT = frozenset({Need.REPORT})
_RUN_HOST = re.compile(
    r"(?P<deterministic>(?P<name>.+)-\d+\.[a-z0-9-]+\.run\.app)|(?P<hashed>(?P<service>.+)-[a-z0-9]{10}-[a-z]+\.a\.run\.app)"
)
"""A Cloud Run service has two addresses, with the project's number or with a hash (https://cloud.google.com/run/docs/triggering/https-request)."""


def _leases(patient: Patient) -> Sequence[Finding]:
    allowed = patient.report.endpoints
    named: dict[str, list[str]] = defaultdict(list)
    for owned in patient.owned_leases:
        named[owned.lease.endpoint or "no address"].append(owned.account)
    if not named:
        return [ok("no account is owned at the moment")]
    return [_lease(endpoint, accounts, allowed) for endpoint, accounts in sorted(named.items())]


def _lease(endpoint: str, accounts: Sequence[str], allowed: Sequence[str]) -> Finding:
    number = f"{len(accounts)} account{'' if len(accounts) == 1 else 's'}"
    if endpoint in allowed:
        return ok(f"{number}; CONNECTOR_ENDPOINTS has it", about=endpoint)
    twin = next((each for each in allowed if service_of(each) == service_of(endpoint)), None)
    if twin is not None:
        return wrong(
            f"the leases of {number} name this address; CONNECTOR_ENDPOINTS has the same service in another URL form: {twin}",
            f"Set PUBLIC_ENDPOINT of that connector to {twin}, or the parameter to this address; then deploy that side.",
            about=endpoint,
        )
    return wrong(
        f"the leases of {number} name this address, which is not in CONNECTOR_ENDPOINTS: the messages wait",
        "Add the address to CONNECTOR_ENDPOINTS and deploy the functions, or find out which process owns the accounts.",
        about=endpoint,
    )


def _settings(patient: Patient) -> Sequence[Finding]:
    report = patient.report
    found = [_twice(report)] if len({service_of(each) for each in report.endpoints}) < len(report.endpoints) else []
    for connector in report.answering:
        found += _differences(connector, report) or [
            ok("the same as the functions' settings", about=connector.endpoint)
        ]
    return found


def _twice(report: Report) -> Finding:
    return wrong(
        f"CONNECTOR_ENDPOINTS names a service twice: {', '.join(report.endpoints)}",
        "Keep only the address that PUBLIC_ENDPOINT of that connector has, and deploy the functions.",
    )


def _differences(connector: Connector, report: Report) -> list[Finding]:
    compared = {
        "PUBLIC_ENDPOINT": (connector.public_endpoint, connector.endpoint),
        "FUNCTIONS_SERVICE_ACCOUNT": (connector.functions_service_account, report.functions_service_account),
        "FLUSH_URL": (connector.flush_url, report.flush_url),
    }
    return [
        wrong(
            f"{name} of the connector is {theirs}, and the functions have {ours}",
            f"Set {name} of the connector to {ours}, and deploy it.",
            about=connector.endpoint,
        )
        for name, (theirs, ours) in compared.items()
        if theirs != ours
    ]


def service_of(endpoint: str) -> str:
    """What all addresses of one Cloud Run service have in common. For other addresses it is the port, since a host can have several names."""
    parts = urlsplit(endpoint)
    found = _RUN_HOST.fullmatch(parts.hostname or "")
    if found is not None:
        return found["name"] or found["service"]
    is_this_machine = parts.hostname in ("localhost", "127.0.0.1")
    return f"localhost:{parts.port}" if is_this_machine else endpoint


CHECKS = (
    Check(name="addresses in leases", needs=_REPORT, examine=_leases),
    Check(name="settings of a connector", needs=_REPORT, examine=_settings),
)
