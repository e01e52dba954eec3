"""The connector's image: where it is kept, its tag, and the build."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deploy.command import gcloud
from deploy.deployment import IMAGE_REPOSITORY, Account, Deployment
from deploy.resources import OWNED_LABEL
from deploy.step import Item, Step

_SOURCES = ("connector", "functions/core", "functions/identity", "deploy", "LICENSE")
"""Files and folders that connector/Dockerfile copies."""
_TAG_DIGITS = 16


def repository_step(deployment: Deployment) -> Step:
    return Step(
        name="Artifact Registry",
        why="keeps the connector's images",
        items=(
            Item(
                name=f"repository {IMAGE_REPOSITORY}",
                look=gcloud(
                    "artifacts",
                    "repositories",
                    "list",
                    project=deployment.project,
                    options={"location": deployment.region},
                ),
                is_done=lambda found: IMAGE_REPOSITORY in {each["name"].rsplit("/", 1)[-1] for each in found},
                commands=(
                    gcloud(
                        "artifacts",
                        "repositories",
                        "create",
                        IMAGE_REPOSITORY,
                        project=deployment.project,
                        options={
                            "repository-format": "docker",
                            "location": deployment.region,
                            "labels": f"{OWNED_LABEL}=deploy",
                        },
                    ),
                ),
            ),
        ),
    )


def build_step(deployment: Deployment, tag: str) -> Step:
    image = deployment.image(tag)
    package = image.rpartition(":")[0]

    def is_built(found: Any) -> bool:
        return any(each["package"] == package and tag in _tags(each) for each in found)

    return Step(
        name="image",
        why="holds engine and connector; it is built again only when its sources change",
        takes="5 to 10 minutes",
        items=(
            Item(
                name=image,
                look=gcloud(
                    "artifacts",
                    "docker",
                    "images",
                    "list",
                    deployment.image_repository,
                    project=deployment.project,
                    options={"include-tags": None},
                ),
                is_done=is_built,
                commands=(
                    gcloud(
                        "builds",
                        "submit",
                        ".",
                        project=deployment.project,
                        options={
                            "config": "deploy/cloudbuild.yaml",
                            "region": deployment.region,
                            "substitutions": f"_IMAGE={image}",
                            "service-account": (
                                f"projects/{deployment.project}/serviceAccounts/{deployment.email(Account.BUILD)}"
                            ),
                            "suppress-logs": None,
                        },
                    ),
                ),
            ),
        ),
        advice="The build's log: https://console.cloud.google.com/cloud-build/builds",
    )


def source_tag(root: Path) -> str:
    """A digest of what the image is built from: the same sources have the same tag on every machine."""
    digest = hashlib.sha256()
    for path in sorted(_source_files(root)):
        digest.update(f"{path.relative_to(root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:_TAG_DIGITS]


def _source_files(root: Path) -> Iterable[Path]:
    for source in _SOURCES:
        start = root / source
        for path in [start] if start.is_file() else start.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and not path.name.endswith(("_test.go", ".log")):
                yield path


def _tags(image: dict[str, Any]) -> list[str]:
    """A list; an older gcloud prints one text."""
    tags = image.get("tags") or []
    return [tag.strip() for tag in tags.split(",")] if isinstance(tags, str) else list(tags)
