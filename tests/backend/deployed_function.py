"""Runs one function's process with the environment that Google sets: no emulator, and no variable of this machine."""

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from google.cloud.firestore_v1._helpers import encode_dict
from google.cloud.firestore_v1.types import Document as FirestoreDocument
from google.events.cloud.firestore import DocumentEventData

from local import ports
from local.processes import Child, Processes, answers
from local.production.manifest import FUNCTIONS, PYTHON, deployed_environment
from local.run_marker import RUN_VARIABLE

PROJECT = "demo-threadline"
_RUNTIME = f"projects/{PROJECT}/databases/(default)/documents"
_ids = count()


@dataclass(frozen=True, kw_only=True)
class DeployedFunction:
    child: Child
    url: str

    def take(self, path: str, event_type: str, *, after: Mapping[str, object] | None) -> None:
        """Sends a Firestore event to the function as Eventarc does. `after` None: an event without a document. Raises HTTPError."""
        at = datetime.now(UTC)
        data = DocumentEventData()
        if after is not None:
            document = FirestoreDocument(
                name=f"{_RUNTIME}/{path}", fields=encode_dict(dict(after)), create_time=at, update_time=at
            )
            data.value = type(data.value).deserialize(FirestoreDocument.serialize(document))
        headers = {
            "Content-Type": "application/protobuf",
            "ce-id": f"event-{next(_ids)}",
            "ce-specversion": "1.0",
            "ce-type": f"google.cloud.firestore.document.v1.{event_type}",
            "ce-source": f"//firestore.googleapis.com/projects/{PROJECT}/databases/(default)",
            "ce-subject": f"documents/{path}",
            "ce-time": at.isoformat(),
            "ce-location": "europe-west1",
            "ce-project": PROJECT,
            "ce-database": "(default)",
            "ce-namespace": "(default)",
            "ce-document": path,
        }
        body = DocumentEventData.serialize(data)
        with urllib.request.urlopen(urllib.request.Request(self.url, data=body, headers=headers), timeout=30) as answer:
            answer.read()


def google_environment(name: str, port: int) -> dict[str, str]:
    """What a deployed function finds: the variables that firebase-tools 15.34.2 sets (lib/functions/env.js,
    lib/deploy/functions/prepare.js, lib/gcp/cloudfunctionsv2.js) and those of Cloud Run's container contract. There is no
    GOOGLE_CLOUD_PROJECT: firebase-tools reserves the name and does not set it."""
    return {
        "GCLOUD_PROJECT": PROJECT,
        "FIREBASE_CONFIG": json.dumps({"projectId": PROJECT, "storageBucket": f"{PROJECT}.appspot.com"}),
        "EVENTARC_CLOUD_EVENT_SOURCE": f"projects/{PROJECT}/locations/europe-west1/services/{name.lower()}",
        "FUNCTION_TARGET": name,
        "LOG_EXECUTION_ID": "true",
        "K_SERVICE": name.lower(),
        "K_REVISION": f"{name.lower()}-00001-abc",
        "K_CONFIGURATION": name.lower(),
        "PORT": str(port),
    }


def start(
    processes: Processes,
    name: str,
    *,
    source: Path = FUNCTIONS,
    signature: str = "cloudevent",
    environment: Mapping[str, str] | None = None,
) -> DeployedFunction:
    """Starts the function without waiting. `environment` has the parameters and secrets of a deployment."""
    port = ports.free_port()
    given = {
        "PATH": "/usr/bin:/bin",
        RUN_VARIABLE: processes.run_id,
        **google_environment(name, port),
        "FUNCTION_SIGNATURE_TYPE": signature,
        "FUNCTION_SOURCE": str(source / "main.py"),
        "HOST": ports.HOST,  # the one thing of this machine's: in a container it listens everywhere
        **deployed_environment(FUNCTIONS),
        **(environment or {}),
    }
    framework = PYTHON.parent / "functions-framework"
    settings = [f"{variable}={value}" for variable, value in given.items()]
    child = processes.spawn(f"deployed.{name}", ["env", "-i", *settings, framework], folder=source)
    return DeployedFunction(child=child, url=f"http://{ports.HOST}:{port}/")


def await_up(processes: Processes, started: DeployedFunction) -> None:
    processes.await_ready(started.child, answers(int(started.url.rstrip("/").rpartition(":")[2])), time_limit_s=60)
