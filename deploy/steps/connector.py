"""The connector services, one for each shard, deployed one after the other since a rollout moves the sessions of a shard."""

from pathlib import Path
from typing import Any

from deploy.command import gcloud
from deploy.deployment import Deployment, connector_service
from deploy.service_template import digest_of, render
from deploy.step import File, Item, Step

TEMPLATE = Path("deploy/connector_service.yaml")


def connector_step(deployment: Deployment, template: str, image: str, attempt: str) -> Step:
    """`attempt` differs in each deploy."""
    return Step(
        name="connector",
        why="the connector services hold the WhatsApp sessions; Cloud Run starts the new instance before it ends the old one",
        takes="up to 2 minutes a shard, until the new instance reaches Firestore and its session store",
        items=tuple(
            _item(deployment, shard, render(template, deployment, shard, image, attempt))
            for shard in range(deployment.shards)
        ),
        advice=(
            "`gcloud run services logs read SERVICE --region=REGION` shows why an instance did not become ready; /readyz needs "
            "Firestore, and an engine that reaches its session store."
        ),
    )


def _item(deployment: Deployment, shard: int, rendered: str) -> Item:
    service = connector_service(shard)
    path = Path("out/deploy") / deployment.project / f"{service}.yaml"

    def is_current(found: Any) -> bool:
        for each in found:
            if each["metadata"]["name"] == service:
                labels = each["metadata"].get("labels", {})
                return labels.get("threadline-template") == digest_of(rendered) and _is_ready(each)
        return False

    return Item(
        name=service,
        look=gcloud("run", "services", "list", project=deployment.project, options={"region": deployment.region}),
        is_done=is_current,
        files=(File(path=path, text=lambda _: rendered),),
        commands=(
            gcloud(
                "run",
                "services",
                "replace",
                str(path),
                project=deployment.project,
                options={"region": deployment.region},
            ),
        ),
    )


def _is_ready(service: Any) -> bool:
    conditions = service.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
