"""The PostgreSQL of the engines' sessions in Cloud SQL, and the address by which the connector reaches it."""

from typing import Any

from deploy.command import GCLOUD, Command, SecretInput, Tools, gcloud
from deploy.deployment import SQL_DATABASE, SQL_INSTANCE, SQL_USER, Deployment
from deploy.random_text import random_text
from deploy.resources import ENGINE_STORE, OWNED_LABEL
from deploy.secret_text import password_of
from deploy.step import Item, Step

_VERSION = "POSTGRES_17"
_TIER = "db-custom-1-3840"
"""1 vCPU, 3.75 GB. docs/limits.md says for how many accounts this is enough."""
_PASSWORD_LABEL = "threadline-password"  # noqa: S105 - a label's name
"""A label of the secret: the version that has the database user's current password."""


def instance_step(deployment: Deployment) -> Step:
    project = deployment.project
    instance = {"instance": SQL_INSTANCE}
    return Step(
        name="Cloud SQL",
        why="is the session store: the engines keep WhatsApp's sessions in it, so that any shard can take a session over",
        takes="5 to 15 minutes for a new instance",
        items=(
            Item(
                name=f"instance {SQL_INSTANCE}, with daily backups and point-in-time recovery",
                look=gcloud("sql", "instances", "list", project=project),
                is_done=_has(SQL_INSTANCE),
                commands=(
                    gcloud(
                        "sql",
                        "instances",
                        "create",
                        SQL_INSTANCE,
                        project=project,
                        options={
                            "database-version": _VERSION,
                            "edition": "enterprise",
                            "tier": _TIER,
                            "region": deployment.region,
                            "availability-type": "regional",
                            "storage-type": "SSD",
                            "storage-auto-increase": None,
                            "backup": None,
                            "backup-start-time": "02:00",
                            "enable-point-in-time-recovery": None,
                            "deletion-protection": None,
                        },
                    ),
                ),
            ),
            Item(
                name=f"database {SQL_DATABASE}",
                look=gcloud("sql", "databases", "list", project=project, options=instance),
                is_done=_has(SQL_DATABASE),
                commands=(gcloud("sql", "databases", "create", SQL_DATABASE, project=project, options=instance),),
            ),
        ),
        advice="Where it took too long, look at the instance in the console; an instance that is being created is waited for.",
    )


def user_step(deployment: Deployment) -> Step:
    """Comes after the secret, which has the password, so that a deploy after an interruption finds the password there."""
    project = deployment.project
    instance = {"instance": SQL_INSTANCE, "flags-file": "/dev/stdin"}
    password = SecretInput(description="the password of the secret's address", produce=_password_flag(project))
    secret = gcloud("secrets", "list", project=project)
    return Step(
        name="Cloud SQL user",
        why="the connector signs in as this user; the password goes through standard input, never on a command line",
        items=(
            Item(
                name=f"user {SQL_USER}",
                look=gcloud("sql", "users", "list", project=project, options={"instance": SQL_INSTANCE}),
                is_done=_has(SQL_USER),
                commands=(
                    gcloud("sql", "users", "create", SQL_USER, project=project, options=instance, input=password),
                ),
            ),
            Item(
                name="the user's password is the one in the secret",
                look=secret,
                is_done=lambda found: _labels(found).get(_PASSWORD_LABEL) == "set",
                commands=(
                    gcloud("sql", "users", "set-password", SQL_USER, project=project, options=instance, input=password),
                    gcloud(
                        "secrets",
                        "update",
                        ENGINE_STORE.name,
                        project=project,
                        options={"update-labels": f"{OWNED_LABEL}=deploy,{_PASSWORD_LABEL}=set"},
                    ),
                ),
            ),
        ),
    )


def address(deployment: Deployment, password: str) -> str:
    """The address, over the socket that Cloud Run mounts: https://cloud.google.com/sql/docs/postgres/connect-run"""
    return f"postgres://{SQL_USER}:{password}@/{SQL_DATABASE}?host=/cloudsql/{deployment.sql_connection}"


def new_address(deployment: Deployment) -> SecretInput:
    return SecretInput(
        description="the address of the session store, with a generated password",
        produce=lambda _: address(deployment, random_text()),
    )


def stored_address(project: str) -> Command:
    return Command(
        arguments=(
            GCLOUD,
            "secrets",
            "versions",
            "access",
            "latest",
            f"--secret={ENGINE_STORE.name}",
            f"--project={project}",
            "--quiet",
        ),
        is_answer_secret=True,
    )


def _password_flag(project: str) -> Any:
    def produce(tools: Tools) -> str:
        """A flags file of gcloud, in quotes since a flags file is YAML: `gcloud topic flags-file`."""
        return f'--password: "{password_of(tools.run(stored_address(project)).out)}"\n'

    return produce


def _labels(secrets: Any) -> dict[str, str]:
    for secret in secrets:
        if secret["name"].rsplit("/", 1)[-1] == ENGINE_STORE.name:
            return dict(secret.get("labels") or {})
    return {}


def _has(name: str) -> Any:
    return lambda found: name in {each["name"] for each in found}
