"""Reads a Google Cloud project with `gcloud`, and has what `deploy/` declares for it."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.command import Command, CommandFailed, Tools, gcloud
from deploy.deployment import CONNECTOR_PREFIX, DEFAULT_DATABASE, DEFAULT_REGION, Deployment, InvalidDeployment
from deploy.local_tools import LocalTools, local_environment

_AT_ONCE = 4
"""How many `gcloud` processes run at once. Each takes some 100 MB of memory."""
_MISSING = re.compile(r"NOT_FOUND|cannot find|does not exist|could not find|HTTPError 404", re.IGNORECASE)
_CLOUD_SQL = "run.googleapis.com/cloudsql-instances"


class Unreadable(Exception):
    """`gcloud` gave no answer. The message says why, on one line."""


class Missing(Unreadable):
    """The resource does not exist."""


@dataclass(frozen=True, kw_only=True)
class CloudProject:
    deployment: Deployment
    tools: Tools
    _answers: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def read(self, *words: str, **options: str | None) -> Any:
        """The JSON that `gcloud WORDS` prints. Each command runs once. Raises Unreadable."""
        return self.answer(self.command(*words, **options))

    def command(self, *words: str, **options: str | None) -> Command:
        named = {name.replace("_", "-"): value for name, value in options.items()}
        return gcloud(*words, project=self.deployment.project, options=named)

    def answer(self, command: Command) -> Any:
        """Raises Unreadable."""
        if command.arguments not in self._answers:
            self._answers[command.arguments] = _ask(self.tools, command)
        answer = self._answers[command.arguments]
        if isinstance(answer, Unreadable):
            raise answer
        return answer

    def look_up(self, commands: Sequence[Command]) -> None:
        """Runs several commands in parallel; `answer` then returns their answers."""
        new = [each for each in dict.fromkeys(each.arguments for each in commands) if each not in self._answers]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            asked = pool.map(lambda arguments: _ask(self.tools, Command(arguments=arguments)), new)
            self._answers.update(zip(new, asked, strict=True))


def find_project(project: str, *, region: str | None, database: str | None, tools: Tools | None = None) -> CloudProject:
    """Describes the deployment in a project. The connector services show how many shards there are and whether Cloud SQL is used.

    Raises Unreadable.
    """
    runs = tools or LocalTools(folder=Path.cwd(), environment=local_environment())
    described = _answered(runs, gcloud("projects", "describe", project, project=project))
    place = region or DEFAULT_REGION
    listed = gcloud("run", "services", "list", project=project, options={"region": place})
    services = _ask(runs, listed)
    connectors = [] if isinstance(services, Unreadable) else [each for each in services if _is_connector(each)]
    try:
        deployment = Deployment(
            project=project,
            project_number=str(described.get("projectNumber")),
            region=place,
            database=database or DEFAULT_DATABASE,
            shards=max(1, len(connectors)),
            uses_cloud_sql=not connectors or any(map(_has_cloud_sql, connectors)),
        )
    except InvalidDeployment as error:
        raise Unreadable(str(error)) from error
    return CloudProject(deployment=deployment, tools=runs)


def _is_connector(service: Any) -> bool:
    return str(service["metadata"]["name"]).startswith(CONNECTOR_PREFIX)


def _has_cloud_sql(service: Any) -> bool:
    template = service.get("spec", {}).get("template", {})
    return bool(template.get("metadata", {}).get("annotations", {}).get(_CLOUD_SQL))


def _ask(tools: Tools, command: Command) -> Any:
    """Returns the answer, or the Unreadable error that explains why there is none."""
    try:
        return _answered(tools, command)
    except Unreadable as why:
        return why


def _answered(tools: Tools, command: Command) -> Any:
    try:
        return tools.run(command).value()
    except CommandFailed as failed:
        said = next((line.strip() for line in failed.answer.errors.splitlines() if line.strip()), "no reason given")
        kind = Missing if _MISSING.search(failed.answer.errors) else Unreadable
        raise kind(f"`{' '.join(command.arguments[:4])}`: {said}") from failed
    except ValueError as error:
        raise Unreadable(f"`{' '.join(command.arguments[:4])}` did not print JSON") from error
