"""The Firestore database, its backups, and then its rules, indexes and TTL policies."""

import json
from pathlib import Path
from typing import Any

from deploy.command import FIREBASE, Command, gcloud
from deploy.deployment import Deployment
from deploy.firebase_config import deployment_config
from deploy.step import File, Item, Step

_RETENTION = "7d"


def database_step(deployment: Deployment) -> Step:
    project, database = deployment.project, {"database": deployment.database}
    databases = gcloud("firestore", "databases", "list", project=project)

    def named(found: Any) -> dict[str, Any] | None:
        name = f"projects/{project}/databases/{deployment.database}"
        return next((each for each in found if each["name"] == name), None)

    def objection(found: Any) -> str | None:
        existing = named(found)
        if existing is None or existing["type"] == "FIRESTORE_NATIVE":
            return None
        return f"the database {deployment.database} is in Datastore mode; Threadline needs a native one: database=threadline"

    def is_protected(found: Any) -> bool:
        existing = named(found) or {}
        return (
            existing.get("pointInTimeRecoveryEnablement") == "POINT_IN_TIME_RECOVERY_ENABLED"
            and existing.get("deleteProtectionState") == "DELETE_PROTECTION_ENABLED"
        )

    return Step(
        name="Firestore",
        why="holds all of Threadline's documents",
        items=(
            Item(
                name=f"database {deployment.database}",
                look=databases,
                is_done=lambda found: named(found) is not None,
                objection=objection,
                commands=(
                    gcloud(
                        "firestore",
                        "databases",
                        "create",
                        project=project,
                        options={
                            **database,
                            "location": deployment.region,
                            "type": "firestore-native",
                            "enable-pitr": None,
                            "delete-protection": None,
                        },
                    ),
                ),
            ),
            Item(
                name="point-in-time recovery and delete protection",
                look=databases,
                is_done=is_protected,
                commands=(
                    gcloud(
                        "firestore",
                        "databases",
                        "update",
                        project=project,
                        options={**database, "enable-pitr": None, "delete-protection": None},
                    ),
                ),
            ),
            Item(
                name=f"a backup each day, kept for {_RETENTION}",
                look=gcloud("firestore", "backups", "schedules", "list", project=project, options=database),
                is_done=lambda schedules: any("dailyRecurrence" in schedule for schedule in schedules),
                commands=(
                    gcloud(
                        "firestore",
                        "backups",
                        "schedules",
                        "create",
                        project=project,
                        options={**database, "recurrence": "daily", "retention": _RETENTION},
                    ),
                ),
            ),
        ),
        advice="Look whether Firestore is available in the region. The location of a database cannot be changed later.",
    )


def config_path(deployment: Deployment) -> Path:
    """In the project's folder, since firebase-tools resolves the paths in the file from the file's folder."""
    return Path(f"firebase.{deployment.project}.json")


def config_file(deployment: Deployment, base: dict[str, Any]) -> File:
    text = json.dumps(deployment_config(base, deployment.database), indent=2) + "\n"
    return File(path=config_path(deployment), text=lambda _: text)


def rules_step(deployment: Deployment, base: dict[str, Any]) -> Step:
    """Without --force, which would delete indexes and TTL policies that firestore.indexes.json does not name."""
    return Step(
        name="rules and indexes",
        why="say who may read and write what, index the queries, and say which documents expire",
        takes="seconds; in a database with many documents, Firestore builds the indexes for some minutes more",
        items=(
            Item(
                name="firestore.rules and firestore.indexes.json",
                files=(config_file(deployment, base),),
                commands=(firebase_deploy(deployment, "firestore"),),
            ),
        ),
    )


def firebase_deploy(deployment: Deployment, only: str, *options: str) -> Command:
    return Command(
        arguments=(
            FIREBASE,
            "deploy",
            f"--only={only}",
            f"--project={deployment.project}",
            f"--config={config_path(deployment)}",
            "--non-interactive",
            *options,
        )
    )
