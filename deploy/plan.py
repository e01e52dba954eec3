"""All steps of a deploy, in their order. docs/deploy.md explains the order ("Why in this order")."""

import json
from pathlib import Path

from deploy.deployment import Deployment
from deploy.parameters import Parameters
from deploy.random_text import random_text
from deploy.step import Step
from deploy.steps.connector import TEMPLATE, connector_step
from deploy.steps.firestore import database_step, rules_step
from deploy.steps.functions import functions_step
from deploy.steps.identity import accounts_step, invokers_step, roles_step
from deploy.steps.image import build_step, repository_step, source_tag
from deploy.steps.monitoring import monitoring_step
from deploy.steps.people import account_step, admin_step, doctor_step
from deploy.steps.project import apis_step, credentials_step, firebase_step, safety_step, service_agents_step
from deploy.steps.secrets import secrets_step
from deploy.steps.session_store import instance_step, user_step

_ATTEMPT_DIGITS = 12


def plan(parameters: Parameters, deployment: Deployment, root: Path) -> list[Step]:
    """`root` is the project's folder. Sends no request. Raises UnfitTemplate."""
    base = json.loads((root / "firebase.json").read_text())
    tag = parameters.tag or source_tag(root)
    image = parameters.image or deployment.image(tag)
    steps = [
        credentials_step(deployment.project),
        safety_step(deployment, (root / "firestore.rules").read_text()),
        apis_step(deployment),
        firebase_step(deployment),
        service_agents_step(deployment),
        accounts_step(deployment),
        repository_step(deployment),
    ]
    if deployment.uses_cloud_sql:
        steps.append(instance_step(deployment))
    steps.append(secrets_step(deployment, parameters.store))
    if deployment.uses_cloud_sql:
        steps.append(user_step(deployment))
    steps += [roles_step(deployment), database_step(deployment), rules_step(deployment, base)]
    if parameters.image is None:
        steps.append(build_step(deployment, tag))
    steps += [
        connector_step(deployment, (root / TEMPLATE).read_text(), image, attempt=random_text()[:_ATTEMPT_DIGITS]),
        functions_step(deployment, base),
        invokers_step(deployment),
        monitoring_step(deployment, root),
    ]
    if parameters.admin is not None:
        steps.append(admin_step(deployment, parameters.admin))
    if parameters.account is not None:
        steps.append(account_step(deployment, parameters.account))
    return [*steps, doctor_step(deployment)]
