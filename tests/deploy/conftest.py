"""A fake cloud for each test, and a copy of the files that a deploy reads and writes."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from deploy.__main__ import deploy
from deploy.parameters import Parameters
from local.project import ROOT
from tests.deploy.fake_cloud.cloud import Cloud, new_state
from tests.deploy.fake_cloud.rules_server import serve
from tests.deploy.fake_cloud.tools import InProcessTools

PROJECT = "my-company-inbox"


@dataclass
class Site:
    """A project in the cloud, and a folder to deploy from."""

    cloud: Cloud
    folder: Path
    rules_url: str
    said: list[str] = field(default_factory=list)

    def deploy(self, **changed: Any) -> int:
        wanted = Parameters(project=PROJECT, admin="ana@example.com", account="sales-1", pause_s=0.0)
        parameters = replace(wanted, **changed)
        tools = InProcessTools(self.cloud, self.folder, self.rules_url)
        return deploy(parameters, tools, self.said.append, root=self.folder)

    @property
    def changes(self) -> list[str]:
        """The commands that changed something."""
        return [" ".join(record["arguments"]) for record in self.cloud.state["log"] if record.get("changed")]


def source_copy(folder: Path) -> Path:
    """Links to the project's files, so that what a deploy writes does not end up in the project."""
    folder.mkdir()
    for path in ROOT.iterdir():
        if path.name not in ("functions", "out", ".git", ".cache"):
            (folder / path.name).symlink_to(path)
    (folder / "functions").mkdir()
    for path in (ROOT / "functions").iterdir():
        if not path.name.startswith(".env."):
            (folder / "functions" / path.name).symlink_to(path)
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    cloud = Cloud(new_state(PROJECT))
    with serve(lambda: cloud) as url:
        yield Site(cloud=cloud, folder=source_copy(tmp_path / "source"), rules_url=url)


@pytest.fixture(autouse=True)
def no_store_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    if "ENGINE_STORE" in os.environ:
        monkeypatch.delenv("ENGINE_STORE")
