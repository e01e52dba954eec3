"""Service accounts, and the grants of roles.py."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from deploy.command import Command, gcloud
from deploy.deployment import Deployment
from deploy.resources import SERVICE_ACCOUNTS
from deploy.roles import Grant, GrantedBy, Kind, Resource, grants
from deploy.step import Item, Step

_GROUPS = {
    Kind.PROJECT: ("projects",),
    Kind.SERVICE_ACCOUNT: ("iam", "service-accounts"),
    Kind.SECRET: ("secrets",),
    Kind.SERVICE: ("run", "services"),
    Kind.QUEUE: ("tasks", "queues"),
    Kind.REPOSITORY: ("artifacts", "repositories"),
}
_PLACES = {Kind.SERVICE: "region", Kind.QUEUE: "location", Kind.REPOSITORY: "location"}
_WITHOUT_CONDITIONS = (Kind.QUEUE,)
"""Resources whose gcloud commands have no --condition."""


def accounts_step(deployment: Deployment) -> Step:
    existing = gcloud("iam", "service-accounts", "list", project=deployment.project)
    return Step(
        name="service accounts",
        why="each part runs as its own account, with only the rights that the part needs",
        items=tuple(
            Item(
                name=deployment.email(one.account),
                look=existing,
                is_done=_is_listed(deployment.email(one.account)),
                commands=(
                    gcloud(
                        "iam",
                        "service-accounts",
                        "create",
                        str(one.account),
                        project=deployment.project,
                        options={"display-name": one.display_name},
                    ),
                ),
            )
            for one in SERVICE_ACCOUNTS
        ),
    )


def roles_step(deployment: Deployment) -> Step:
    """The grants that need neither a function nor a connector."""
    early = [
        grant for grant in grants(deployment) if grant.granted_by is GrantedBy.DEPLOY and grant.is_before_functions
    ]
    return Step(
        name="roles",
        why="say what each service account may do; docs/deploy.md has the table",
        items=tuple(_items(deployment, early)),
        advice="You need the roles that docs/deploy.md names for who deploys, such as Project IAM Admin.",
    )


def invokers_step(deployment: Deployment) -> Step:
    """The grants on services and the queue, which exist by now. firebase-tools makes those of callables; a missing one is made here."""
    late = [
        grant
        for grant in grants(deployment)
        if not grant.is_before_functions and (grant.granted_by is GrantedBy.DEPLOY or grant.member == "allUsers")
    ]
    return Step(
        name="invokers",
        why="say who may call which service; a grant needs its service, so this step comes after connector and functions",
        items=tuple(_items(deployment, late)),
        advice=(
            "Where allUsers is refused, an organisation policy (domain restricted sharing) forbids public callables: "
            "https://cloud.google.com/run/docs/authenticating/public"
        ),
    )


def _items(deployment: Deployment, wanted: Iterable[Grant]) -> Iterable[Item]:
    for grant in wanted:
        yield Item(
            name=f"{grant.member.removeprefix('serviceAccount:')}: {grant.role} on {grant.resource.name}",
            look=policy(deployment, grant.resource),
            is_done=partial(is_granted, grant),
            commands=(bind(deployment, grant),),
        )


def policy(deployment: Deployment, resource: Resource) -> Command:
    return gcloud(
        *_GROUPS[resource.kind],
        "get-iam-policy",
        resource.name,
        project=deployment.project,
        options=_place(deployment, resource),
    )


def bind(deployment: Deployment, grant: Grant) -> Command:
    """Always names a condition: gcloud refuses a grant without --condition where the policy already has a conditional grant."""
    options: dict[str, str | None] = {"member": grant.member, "role": grant.role, **_place(deployment, grant.resource)}
    if grant.condition is not None:
        options["condition"] = f"expression={grant.condition.expression},title={grant.condition.title}"
    elif grant.resource.kind not in _WITHOUT_CONDITIONS:
        options["condition"] = "None"
    return gcloud(
        *_GROUPS[grant.resource.kind],
        "add-iam-policy-binding",
        grant.resource.name,
        project=deployment.project,
        options=options,
    )


def is_granted(grant: Grant, found: Any) -> bool:
    """`found` is an IAM policy as JSON."""
    wanted = grant.condition.expression if grant.condition else None
    return any(
        binding["role"] == grant.role
        and grant.member in binding["members"]
        and (binding.get("condition") or {}).get("expression") == wanted
        for binding in found.get("bindings", [])
    )


def _is_listed(email: str) -> Callable[[Any], bool]:
    return lambda found: email in {each["email"] for each in found}


def _place(deployment: Deployment, resource: Resource) -> dict[str, str | None]:
    option = _PLACES.get(resource.kind)
    return {option: deployment.region} if option else {}
