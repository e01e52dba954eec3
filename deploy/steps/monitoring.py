"""The log-based metrics and the dashboard of monitoring/. The alerting policies need a notification channel, which a person chooses."""

import json
from pathlib import Path
from typing import Any

from deploy.command import gcloud
from deploy.deployment import Deployment
from deploy.step import Item, Step

_METRICS = {"threadline_alerts": "monitoring/alerts-metric.json", "threadline_sweeps": "monitoring/sweeps-metric.json"}
_DASHBOARD = Path("monitoring/dashboard.json")


def monitoring_step(deployment: Deployment, root: Path) -> Step:
    project = deployment.project
    title = json.loads((root / _DASHBOARD).read_text())["displayName"]
    metrics = gcloud("logging", "metrics", "list", project=project)
    return Step(
        name="monitoring",
        why="counts alerts and sweeps, and shows sessions and queues; monitoring/README.md says how to add notifications",
        items=(
            *(
                Item(
                    name=f"metric {name}",
                    look=metrics,
                    is_done=_has("name", name),
                    commands=(
                        gcloud(
                            "logging", "metrics", "create", name, project=project, options={"config-from-file": path}
                        ),
                    ),
                )
                for name, path in _METRICS.items()
            ),
            Item(
                name=f"dashboard {title}",
                look=gcloud("monitoring", "dashboards", "list", project=project),
                is_done=_has("displayName", title),
                commands=(
                    gcloud(
                        "monitoring",
                        "dashboards",
                        "create",
                        project=project,
                        options={"config-from-file": str(_DASHBOARD)},
                    ),
                ),
            ),
        ),
    )


def _has(field: str, value: str) -> Any:
    return lambda found: value in {each.get(field) for each in found}
