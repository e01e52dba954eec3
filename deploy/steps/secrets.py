"""The secrets, in Secret Manager. Values are generated here or given by the operator, and go only through standard input."""

from typing import Any

from deploy.command import CommandFailed, SecretInput, Tools, gcloud
from deploy.deployment import Deployment
from deploy.former_deploy import store_kind
from deploy.random_text import random_text
from deploy.resources import ENGINE_STORE, OWNED_LABEL, SECRETS, STORE_LABEL, Secret
from deploy.step import Item, Lookup, Step
from deploy.steps.session_store import new_address, stored_address

_OWNED = f"{OWNED_LABEL}=deploy"


def secrets_step(deployment: Deployment, given_store: str | None) -> Step:
    items = []
    for secret in SECRETS:
        items.append(_container(deployment, secret))
        if secret is ENGINE_STORE and given_store is not None:
            items.append(_given_value(deployment, given_store))
        else:
            items.append(_made_value(deployment, secret))
    return Step(
        name="secrets",
        why="only the services read the keys and the session store's password",
        items=tuple(items),
        advice="You need the role Secret Manager Admin.",
    )


def _container(deployment: Deployment, secret: Secret) -> Item:
    def objection(found: Any) -> str | None:
        existing = _named(found, secret.name)
        if existing is None or (existing.get("labels") or {}).get(OWNED_LABEL) == "deploy":
            return None
        return (
            f"a secret {secret.name} exists that the deploy did not make. If it is Threadline's, say so, then run the same command "
            f"again: gcloud secrets update {secret.name} --update-labels={_OWNED} --project={deployment.project}"
        )

    return Item(
        name=f"secret {secret.name}",
        look=gcloud("secrets", "list", project=deployment.project),
        is_done=lambda found: _named(found, secret.name) is not None,
        objection=objection,
        commands=(
            gcloud(
                "secrets",
                "create",
                secret.name,
                project=deployment.project,
                options={
                    "replication-policy": "user-managed",
                    "locations": deployment.region,
                    "labels": _labels(deployment, secret),
                },
            ),
        ),
    )


def _labels(deployment: Deployment, secret: Secret) -> str:
    return f"{_OWNED},{STORE_LABEL}={store_kind(deployment)}" if secret is ENGINE_STORE else _OWNED


def _made_value(deployment: Deployment, secret: Secret) -> Item:
    value = SecretInput(description="a generated random value", produce=lambda _: random_text())
    if secret is ENGINE_STORE:
        value = new_address(deployment)
    return Item(
        name=f"a value of {secret.name}",
        look=gcloud("secrets", "versions", "list", secret.name, project=deployment.project),
        is_done=lambda versions: any(version["state"] == "ENABLED" for version in versions),
        commands=(_add_version(deployment, secret, value),),
    )


def _given_value(deployment: Deployment, store: str) -> Item:
    value = SecretInput(description="the given address of your PostgreSQL", produce=lambda _: store)

    def is_stored(tools: Tools) -> bool:
        try:
            return tools.run(stored_address(deployment.project)).out == store
        except CommandFailed:
            return False  # there is no version yet

    return Item(
        name=f"the given value of {ENGINE_STORE.name}",
        look=Lookup(description=f"compare the value of {ENGINE_STORE.name} with the given address", ask=is_stored),
        is_done=bool,
        commands=(_add_version(deployment, ENGINE_STORE, value),),
    )


def _add_version(deployment: Deployment, secret: Secret, value: SecretInput) -> Any:
    return gcloud(
        "secrets",
        "versions",
        "add",
        secret.name,
        project=deployment.project,
        options={"data-file": "-"},
        input=value,
    )


def _named(found: Any, name: str) -> dict[str, Any] | None:
    for secret in found:
        if secret["name"].rsplit("/", 1)[-1] == name:
            return dict(secret)
    return None
