"""Reads from the cloud whether an earlier deploy was Threadline's, and whether it had the same parameters, which are stored nowhere else.

Both functions return why the deploy must not go on, with the parameter to add, or None.
"""

from typing import Any

from deploy.deployment import Deployment
from deploy.resources import CODEBASE, ENGINE_STORE, FUNCTION_PREFIX, STORE_LABEL


def objection_to_functions(functions: Any, deployment: Deployment) -> str | None:
    """`functions` is the answer of `gcloud functions list`."""
    for function in functions:
        _, _, _, region, _, name = function["name"].split("/")
        if not name.startswith(FUNCTION_PREFIX):
            continue
        if (function.get("labels") or {}).get("firebase-functions-codebase") != CODEBASE:
            return f"the function {name} in {region} is not Threadline's, and a deploy would replace it: rename it or delete it"
        if region != deployment.region:
            return f"Threadline's functions are in {region}: deploy with region={region}, or delete them first"
        changed = _changed_parameter(
            (function.get("serviceConfig") or {}).get("environmentVariables") or {}, deployment
        )
        if changed is not None:
            return changed
    return None


def _changed_parameter(environment: dict[str, str], deployment: Deployment) -> str | None:
    database = environment.get("FIRESTORE_DATABASE", deployment.database)
    if database != deployment.database:
        return f"Threadline's documents are in the database {database}: deploy with database={database}"
    shards = len([each for each in environment.get("CONNECTOR_ENDPOINTS", "").split(",") if each])
    if shards > deployment.shards:
        return (
            f"{shards} connector services are deployed, but the functions would call only {deployment.shards} of them: "
            f"deploy with shards={shards}; docs/deploy.md says how to remove some"
        )
    return None


def objection_to_store(secrets: Any, deployment: Deployment) -> str | None:
    """`secrets` is the answer of `gcloud secrets list`."""
    for secret in secrets:
        if secret["name"].rsplit("/", 1)[-1] != ENGINE_STORE.name:
            continue
        former = (secret.get("labels") or {}).get(STORE_LABEL, store_kind(deployment))
        if former == store_kind(deployment):
            return None
        wanted = "store=FILE" if former == _GIVEN else "no store="
        return (
            f"the sessions of project {deployment.project} are in another PostgreSQL, and would be lost: deploy with {wanted}. "
            f"docs/deploy.md says how to move them"
        )
    return None


_GIVEN, _CLOUD_SQL = "given", "cloud-sql"


def store_kind(deployment: Deployment) -> str:
    """The value of the label STORE_LABEL of the secret with the store's address."""
    return _CLOUD_SQL if deployment.uses_cloud_sql else _GIVEN
