"""deploy.command.Tools on a fake cloud in this process: hundreds of deploys in the time of one that starts programs."""

from pathlib import Path

from deploy.command import FIREBASE, GCLOUD, PYTHON, Answer, Command
from deploy.local_tools import LocalTools
from tests.deploy.fake_cloud.cloud import Cloud
from tests.deploy.fake_cloud.programs import Ended, call


class InProcessTools(LocalTools):
    """Like the real tools, but without processes. Files are written to `folder`."""

    def __init__(self, cloud: Cloud, folder: Path, rules_url: str) -> None:
        super().__init__(folder=folder, environment={"FIREBASE_RULES_URL": rules_url})
        self._cloud = cloud

    def _run(self, arguments: list[str], secret: str | None, command: Command) -> Answer:  # noqa: ARG002
        program, *others = arguments
        name = {GCLOUD: "gcloud", FIREBASE: "firebase", PYTHON: "admin"}[program]
        if name == "admin":
            module, *others = others[1:]
            assert module == "connector.admin"
        if others[:3] == ["run", "services", "replace"]:
            others[3] = str(self._folder / others[3])
        try:
            return Answer(status=0, out=call(self._cloud, name, others, secret, self._folder), errors="")
        except Ended as end:
            return Answer(status=end.status, out="", errors=self.without_secrets(str(end)))
