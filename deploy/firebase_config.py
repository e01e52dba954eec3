"""The firebase.json of a deployment: the project's own, with the deployment's database."""

import copy
from typing import Any

from deploy.deployment import DEFAULT_DATABASE


def deployment_config(base: dict[str, Any], database: str) -> dict[str, Any]:
    """`base` is the project's firebase.json, and is not changed. Rules and indexes go only to `database`."""
    config = copy.deepcopy(base)
    if database != DEFAULT_DATABASE:
        config["firestore"] = {"database": database, **config["firestore"]}
    return config
