"""Functions, connector and command line name the same thread by the same hash, each in the environment that it is deployed with."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.log_hash import log_hash
from local.production.manifest import FUNCTIONS, PYTHON
from local.project import PYTHONPATH, ROOT
from tests.backend.deployed_function import PROJECT, google_environment

_THREAD = "berlin_40712345678@s.whatsapp.net"
_OF_A_FUNCTION = f"from backend import log; log.thread_not_woken({_THREAD!r})"
_OF_THE_CONNECTOR = f"from connector import log; log.send_ended('berlin', {_THREAD!r}, 'sent', '')"


def logged(python: Path, program: str, folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """The log line of a process that has this environment and nothing of ours."""
    run = subprocess.run(
        [python, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    line: dict[str, str] = json.loads(run.stdout)
    return line


@pytest.mark.parametrize(
    "secret", [{}, {"THREADLINE_LOG_HASH_KEY": "a-secret"}], ids=["without the secret", "with the secret"]
)
def test_a_function_and_the_connector_hash_a_thread_alike(secret: dict[str, str]) -> None:
    """The project's id is GCLOUD_PROJECT in a function, and GOOGLE_CLOUD_PROJECT in the connector's Cloud Run service."""
    of_function = google_environment("threadlineSend", 8080) | secret
    of_connector = {"GOOGLE_CLOUD_PROJECT": PROJECT, "PYTHONPATH": PYTHONPATH} | secret
    function = logged(PYTHON, _OF_A_FUNCTION, FUNCTIONS, of_function)["thread"]
    connector = logged(Path(sys.executable), _OF_THE_CONNECTOR, ROOT, of_connector)["key"]
    assert function == connector == log_hash(secret.get("THREADLINE_LOG_HASH_KEY", PROJECT), _THREAD)
