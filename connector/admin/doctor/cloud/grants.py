"""Checks the service accounts, and every grant that Threadline needs (deploy/roles.py): roles, and who may call which service."""

from collections.abc import Sequence

from connector.admin.doctor.check import Check, Finding, Need, not_checked, ok, wrong
from connector.admin.doctor.cloud.project import Missing, Unreadable
from connector.admin.doctor.patient import Patient
from deploy.deployment import Account
from deploy.resources import SERVICE_ACCOUNTS
from deploy.roles import Grant, GrantedBy, grants
from deploy.steps.identity import bind, is_granted, policy

_CLOUD = frozenset({Need.GOOGLE_CLOUD})
EVERYBODY = "allUsers"


def _accounts(patient: Patient) -> Sequence[Finding]:
    deployment = patient.cloud.deployment
    existing = {each["email"]: each for each in patient.cloud.read("iam", "service-accounts", "list")}
    found = []
    for one in SERVICE_ACCOUNTS:
        email = deployment.email(one.account)
        if email not in existing:
            found.append(wrong(f"does not exist: {one.why}", f"make deploy project={deployment.project}", about=email))
        elif existing[email].get("disabled") is True:
            todo = f"gcloud iam service-accounts enable {email} --project={deployment.project}"
            found.append(wrong(f"is disabled: {one.why}", todo, about=email))
    return found or [ok(f"all {len(SERVICE_ACCOUNTS)} exist")]


def _parameters(patient: Patient) -> Sequence[Finding]:
    """Checks that the functions' parameters name the accounts that have the roles."""
    deployment, report = patient.cloud.deployment, patient.report
    given = {
        "FUNCTIONS_SERVICE_ACCOUNT": (report.functions_service_account, deployment.email(Account.FUNCTIONS)),
        "CONNECTOR_SERVICE_ACCOUNT": (report.connector_service_account, deployment.email(Account.CONNECTOR)),
    }
    found = [
        wrong(
            f"{name} of the functions is {theirs}; the roles are granted to {declared}",
            f"Set {name}={declared} in functions/.env.{deployment.project}, and deploy the functions.",
        )
        for name, (theirs, declared) in given.items()
        if theirs != declared
    ]
    return found or [ok("those that the roles are granted to")]


def _roles(patient: Patient) -> Sequence[Finding]:
    return _granted(patient, [grant for grant in _checked(patient) if grant.is_before_functions])


def _invokers(patient: Patient) -> Sequence[Finding]:
    return _granted(patient, [grant for grant in _checked(patient) if not grant.is_before_functions])


def _checked(patient: Patient) -> list[Grant]:
    """All grants except those that Threadline does not need."""
    return [
        grant
        for grant in grants(patient.cloud.deployment)
        if grant.granted_by is GrantedBy.DEPLOY or grant.member == EVERYBODY
    ]


def _granted(patient: Patient, wanted: Sequence[Grant]) -> Sequence[Finding]:
    project = patient.cloud
    project.look_up([policy(project.deployment, grant.resource) for grant in wanted])
    found = []
    for grant in wanted:
        about = f"{grant.resource.kind} {grant.resource.name}"
        who = grant.member.removeprefix("serviceAccount:")
        try:
            is_there = is_granted(grant, project.answer(policy(project.deployment, grant.resource)))
        except Missing:
            found.append(wrong("does not exist", f"make deploy project={project.deployment.project}", about=about))
            continue
        except Unreadable as why:
            found.append(not_checked(str(why), about=about))
            continue
        if not is_there:
            said = f"{who} lacks {grant.role}: {grant.why}"
            found.append(wrong(said, bind(project.deployment, grant).shown(), about=about))
    return list(dict.fromkeys(found)) or [ok(f"all {len(wanted)} are granted")]


CHECKS = (
    Check(name="service accounts", needs=_CLOUD, examine=_accounts),
    Check(name="accounts of the functions", needs=_CLOUD | {Need.REPORT}, examine=_parameters),
    Check(name="roles", needs=_CLOUD, examine=_roles),
    Check(name="invokers", needs=_CLOUD, examine=_invokers),
)
