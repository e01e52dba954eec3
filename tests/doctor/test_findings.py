"""What the doctor concludes from a report. Plain values stand for answers that no local deployment gives."""

import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from connector.admin.context import Context
from connector.admin.doctor import addresses, clocks, round_trips, stores, versions
from connector.admin.doctor.addresses import service_of
from connector.admin.doctor.canary_row import Ending, RowCanary
from connector.admin.doctor.check import Check, Finding, Result
from connector.admin.doctor.patient import OwnedLease, Patient
from connector.admin.doctor.report import Clock, parse_report
from connector.admin.screen import Screen
from core import contract, release
from core.account import claim_fields, new_lease_document, parse_lease
from core.ids import WorkerId

BY_NUMBER = "https://threadline-connector-0-123456789012.europe-west1.run.app"
BY_HASH = "https://threadline-connector-0-4k2j5h6abc-ew.a.run.app"
ANOTHER = "https://threadline-connector-1-123456789012.europe-west1.run.app"
SAME = {**release.identification(), "contract": contract.VERSION}
FUNCTIONS = "functions@example.com"
FLUSH = "https://europe-west1-p.cloudfunctions.net/threadlineFlush"

Fields = dict[str, Any]


def connector(**changes: Any) -> Fields:
    """A healthy connector. `report` is merged into its report."""
    said = {
        **SAME,
        "publicEndpoint": BY_NUMBER,
        "functionsServiceAccount": FUNCTIONS,
        "flushUrl": FLUSH,
        "ready": {"firestore": True, "engine": True, "takesWork": True},
        "engine": {"outcome": "answered", "contract": 2, "whatsmeow": "v0.0.0-1"},
        "store": {"outcome": "writable", "kind": "postgres", "version": "17.2"},
        "flush": {"outcome": "answered"},
    } | changes.pop("report", {})
    return {
        "endpoint": BY_NUMBER,
        "outcome": "answered",
        "report": said,
        "clockOffsetS": 0.0,
        "clockUncertaintyS": 0.1,
    } | changes


def patient(*connectors: Fields, leases: list[OwnedLease] | None = None, **changes: Any) -> Patient:
    fields = {
        **SAME,
        "connectorEndpoints": [BY_NUMBER],
        "functionsServiceAccount": FUNCTIONS,
        "connectorServiceAccount": "connector@example.com",
        "flushUrl": FLUSH,
        "clockOffsetS": 0.0,
        "clockUncertaintyS": 0.1,
        "connectors": list(connectors),
    } | changes
    own = Clock(offset_s=0.0, uncertainty_s=0.1)
    canary = RowCanary(ending=Ending.REPORTED, waited_s=1.0, own_clock=own, report=parse_report(fields))
    context = Context("p", Screen(out=sys.stdout, errors=sys.stderr, as_json=False))
    examined = Patient(context=context, canary=canary, wait_s=1.0)
    examined.__dict__["owned_leases"] = leases or []  # in the place of a read
    return examined


def lease(endpoint: str) -> OwnedLease:
    at = datetime.now(UTC)
    document = new_lease_document(at)
    owned = document | claim_fields(parse_lease(document), WorkerId("w1"), endpoint, at, 3600)
    return OwnedLease(account="sales-1", lease=parse_lease(owned))


def found(checks: tuple[Check, ...], name: str, of: Patient) -> list[Finding]:
    (check,) = [check for check in checks if check.name == name]
    return list(check.examine(of))


def the(checks: tuple[Check, ...], name: str, of: Patient) -> Finding:
    (finding,) = found(checks, name, of)
    return finding


@pytest.mark.parametrize(
    ("answer", "said", "advice"),
    [
        ({"outcome": "refused", "status": 403, "code": None}, "Cloud Run refused", f"roles/run.invoker to {FUNCTIONS}"),
        ({"outcome": "refused", "status": 401, "code": None}, "Cloud Run refused", "roles/run.invoker"),
        ({"outcome": "refused", "status": 401, "code": "unauthenticated"}, "none for its address", "PUBLIC_ENDPOINT"),
        ({"outcome": "refused", "status": 403, "code": "forbidden"}, "service account", "FUNCTIONS_SERVICE_ACCOUNT"),
        (
            {"outcome": "refused", "status": 404, "code": "not_found"},
            "older than the functions",
            "Deploy the connector",
        ),
        ({"outcome": "refused", "status": 503, "code": "unauthenticated"}, "no key set", "googleapis.com"),
        ({"outcome": "refused", "status": 429, "code": None}, "no instance", "whether the service runs"),
        ({"outcome": "refused", "status": 500, "code": None}, "status 500", "log"),
        ({"outcome": "unreachable"}, "could not be reached", "whether its address is right"),
        ({"outcome": "no_identity"}, "no identity token", "service account exists"),
        ({}, "could not be reached", ""),
    ],
)
def test_each_refusal_of_a_call_says_who_refused_it_and_what_to_do(answer: Fields, said: str, advice: str) -> None:
    finding = the(round_trips.CHECKS, "functions call a connector", patient({"endpoint": BY_NUMBER, **answer}))
    assert finding.result is Result.WRONG
    assert said in finding.found
    assert advice in finding.what_to_do


@pytest.mark.parametrize(
    ("answer", "said", "advice"),
    [
        ({"outcome": "refused", "status": 403, "code": None}, "Cloud Run refused", "on threadlineflush"),
        ({"outcome": "refused", "status": 401, "code": "unauthenticated"}, "none for flush", f"FLUSH_URL of the connector to {FLUSH}"),
        ({"outcome": "refused", "status": 403, "code": "forbidden"}, "service account", "connector@example.com"),
        ({"outcome": "refused", "status": 400, "code": "invalid_request"}, "older than the connector", "Deploy the functions"),
    ],
)  # fmt: skip
def test_each_refusal_of_a_flush_says_who_refused_it_and_what_to_do(answer: Fields, said: str, advice: str) -> None:
    finding = the(round_trips.CHECKS, "a connector calls the functions", patient(connector(report={"flush": answer})))
    assert finding.result is Result.WRONG
    assert said in finding.found
    assert advice in finding.what_to_do


def test_two_addresses_of_one_service_are_known_as_such() -> None:
    assert service_of(BY_NUMBER) == service_of(BY_HASH)
    assert service_of(BY_NUMBER) != service_of(ANOTHER)


def test_a_lease_that_names_the_other_form_of_an_address_is_wrong_and_says_which() -> None:
    finding = the(addresses.CHECKS, "addresses in leases", patient(connector(), leases=[lease(BY_HASH)]))
    assert finding.result is Result.WRONG
    assert BY_NUMBER in finding.found
    assert "another URL form" in finding.found


def test_a_lease_that_names_an_unknown_address_is_wrong() -> None:
    finding = the(addresses.CHECKS, "addresses in leases", patient(connector(), leases=[lease(ANOTHER)]))
    assert finding.result is Result.WRONG
    assert "not in CONNECTOR_ENDPOINTS" in finding.found


def test_a_service_that_is_named_twice_is_wrong() -> None:
    both = patient(connector(), connectorEndpoints=[BY_NUMBER, BY_HASH])
    results = [finding.result for finding in found(addresses.CHECKS, "settings of a connector", both)]
    assert results == [Result.WRONG, Result.OK]


@pytest.mark.parametrize(
    ("offset_s", "uncertainty_s", "result"),
    [
        (0.0, 0.1, Result.OK),
        (2.4, 0.1, Result.OK),
        (2.7, 0.1, Result.WRONG),
        (-30.0, 0.1, Result.WRONG),
        (4.0, 2.0, Result.OK),
        (0.0, 3.0, Result.NOT_CHECKED),
        (30.0, 3.0, Result.WRONG),
        (None, 0.1, Result.NOT_CHECKED),
    ],
)
def test_a_clock_is_wrong_only_where_the_way_cannot_have_made_the_difference(
    offset_s: float | None, uncertainty_s: float, result: Result
) -> None:
    of = patient(connector(), clockOffsetS=offset_s, clockUncertaintyS=uncertainty_s)
    assert the(clocks.CHECKS, "clock of the functions", of).result is result


def test_a_connectors_clock_is_told_against_firestores() -> None:
    """It is 2 s ahead of the functions, which are 1 s ahead of Firestore."""
    of = patient(connector(clockOffsetS=2.0), clockOffsetS=1.0)
    finding = the(clocks.CHECKS, "clock of a connector", of)
    assert finding.result is Result.WRONG
    assert finding.found.startswith("+3.0 s")


@pytest.mark.parametrize(
    ("changes", "result", "said"),
    [
        ({}, Result.OK, release.VERSION),
        ({"version": "0.0.1"}, Result.WRONG, "older than this command line"),
        ({"version": "99.0.0"}, Result.WRONG, "newer than this command line"),
        ({"contract": contract.VERSION - 1}, Result.WRONG, "older"),
        ({"build": "0" * 12}, Result.WRONG, "another build"),
        ({"version": None}, Result.WRONG, "older"),
    ],
)
def test_functions_of_another_version_are_wrong_and_older_or_newer(changes: Fields, result: Result, said: str) -> None:
    finding = the(versions.CHECKS, "version of the functions", patient(connector(), **changes))
    assert finding.result is result
    assert said in finding.found


def test_connectors_with_different_whatsmeow_are_wrong() -> None:
    newer = {"outcome": "answered", "contract": 2, "whatsmeow": "v0.0.0-2"}
    of = patient(connector(), connector(report={"engine": newer}))
    assert {finding.result for finding in found(versions.CHECKS, "engine of a connector", of)} == {Result.WRONG}


def test_sessions_in_a_file_are_wrong_on_google_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    of = patient(connector(report={"store": {"outcome": "writable", "kind": "sqlite", "version": "3.50"}}))
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    assert the(stores.CHECKS, "session store", of).result is Result.WRONG
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    assert the(stores.CHECKS, "session store", of).result is Result.OK
