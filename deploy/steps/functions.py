"""The functions: their parameters, in functions/.env.PROJECT, and the deploy of their codebase alone."""

from pathlib import Path
from typing import Any

from deploy.deployment import Account, Deployment
from deploy.resources import CODEBASE, SECRETS
from deploy.step import File, Item, Refused, Step
from deploy.steps.firestore import config_file, firebase_deploy


def functions_step(deployment: Deployment, base: dict[str, Any]) -> Step:
    """--force answers three questions that a person would be asked: triggers that retry, instances that are always up, and how
    long old images of functions are kept (1 day). With `--only functions:threadline` it deletes no function of another codebase."""
    return Step(
        name="functions",
        why="turn the ingest log and the outbox into messages, and serve the callables",
        takes="3 to 6 minutes; the first time Google needs some minutes more for Eventarc",
        items=(
            Item(
                name=f"the functions of codebase {CODEBASE}",
                files=(
                    config_file(deployment, base),
                    File(path=parameters_path(deployment), text=lambda old: parameters(deployment, old), is_shown=True),
                ),
                commands=(firebase_deploy(deployment, f"functions:{CODEBASE}", "--force"),),
            ),
        ),
        advice="firebase-debug.log has what Google answered. A build's log: https://console.cloud.google.com/cloud-build/builds",
    )


def parameters_path(deployment: Deployment) -> Path:
    return Path("functions") / f".env.{deployment.project}"


def parameters(deployment: Deployment, present: str | None) -> str:
    """The file's text: the deployment's values, and what the operator added. Raises Refused."""
    values = {
        "CONNECTOR_ENDPOINTS": ",".join(deployment.connector_endpoints),
        "FUNCTIONS_SERVICE_ACCOUNT": deployment.email(Account.FUNCTIONS),
        "CONNECTOR_SERVICE_ACCOUNT": deployment.email(Account.CONNECTOR),
        "TASKS_SERVICE_ACCOUNT": deployment.email(Account.TASKS),
        "FUNCTIONS_REGION": deployment.region,
        "FIRESTORE_DATABASE": deployment.database,
    }
    lines = [f"{name}={value}" for name, value in values.items()]
    others = []
    for line in (present or "").splitlines():
        name = line.partition("=")[0].strip()
        if name in {secret.name for secret in SECRETS}:
            raise Refused(
                f"{parameters_path(deployment)} holds {name} in plain text, and it is a secret: remove the line. To keep its value, "
                f"add it to Secret Manager: gcloud secrets versions add {name} --data-file=- --project={deployment.project}"
            )
        if name not in values:
            others.append(line)
    return "\n".join([*lines, *others]) + "\n"
