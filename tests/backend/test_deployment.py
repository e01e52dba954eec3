"""What `firebase deploy` would deploy: discovered as the Firebase CLI does it, in the venv that holds only what production installs."""

import os
import subprocess
import time
import urllib.request
from typing import Any
from urllib.error import URLError

import pytest
import yaml

from backend import params
from core.timing import Timing
from local import ports
from local.processes import Processes
from local.project import PROJECT_ID, ROOT

FUNCTIONS = ROOT / "functions"
PYTHON = FUNCTIONS / "venv/bin/python"
PARAMETERS = {parameter.name: parameter.example for parameter in params.PARAMETERS}
"""Each example is a value that may be deployed."""


@pytest.fixture(scope="module")
def manifest(processes: Processes) -> dict[str, Any]:
    port = ports.free_port()
    environment = PARAMETERS | {"ADMIN_PORT": str(port), "GCLOUD_PROJECT": PROJECT_ID, "PYTHONPATH": ""}
    discovery = processes.spawn(
        "discovery",
        [PYTHON, "-m", "firebase_functions.private.serving"],
        environment=environment,
        folder=FUNCTIONS,
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/__/functions.yaml", timeout=30) as answer:
                found: dict[str, Any] = yaml.safe_load(answer.read())
            break
        except URLError:
            assert discovery.is_running, discovery.log_tail()
            assert time.monotonic() < deadline, "discovery does not answer"
            time.sleep(0.1)
    processes.stop(discovery)
    return found


def endpoint(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = manifest["endpoints"][name]
    return found


def test_exactly_these_functions_are_deployed(manifest: dict[str, Any]) -> None:
    assert set(manifest["endpoints"]) == {
        "threadlineOnIngest", "threadlineOnOutbox", "threadlineSend", "threadlineFlush", "threadlineSweep", "threadlineOnAlert", "threadlinePostAlert",
        "threadlineCreateAccount", "threadlinePairAccount", "threadlineSetDesiredState", "threadlineLogoutAccount", "threadlineStartConversation",
        "threadlineCancelRequest", "threadlineResolveRequest", "threadlineCloseGap", "threadlineSetAccountLimits",
        "threadlineAnswerPasskey",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind", "document"),
    [
        ("threadlineOnIngest", "created", "whatsapp_ingest/{eventId}"),
        ("threadlineOnOutbox", "created", "whatsapp_outbox/{requestId}"),
        ("threadlineOnAlert", "written", "whatsapp_alerts/{alertId}"),
        ("threadlinePostAlert", "written", "whatsapp_alerts/{alertId}"),
    ],
)
def test_triggers_are_retried_because_events_are_lost_otherwise(
    manifest: dict[str, Any], name: str, kind: str, document: str
) -> None:
    trigger = endpoint(manifest, name)["eventTrigger"]
    assert trigger["retry"] is True
    assert trigger["eventType"] == f"google.cloud.firestore.document.v1.{kind}"
    assert trigger["eventFilterPathPatterns"]["document"] == document


def test_a_secret_is_given_only_to_the_functions_that_use_it(manifest: dict[str, Any]) -> None:
    """What works on threads, requests or rows may log one; the webhook is signed by one function alone."""
    given = {
        name: [secret["key"] for secret in found["secretEnvironmentVariables"]]
        for name, found in manifest["endpoints"].items()
    }
    assert given.pop("threadlinePostAlert") == ["THREADLINE_ALERT_WEBHOOK_SECRET"]
    assert given.pop("threadlineOnAlert") == []
    assert {tuple(secrets) for secrets in given.values()} == {("THREADLINE_LOG_HASH_KEY",)}


def test_every_function_has_memory_concurrency_and_a_limit(manifest: dict[str, Any]) -> None:
    for found in manifest["endpoints"].values():
        assert (found["availableMemoryMb"], found["concurrency"], found["cpu"]) == (512, 80, 1)
        assert found["maxInstances"] == 20
        assert found["timeoutSeconds"] > 0


def test_threads_equal_the_concurrency_because_nothing_derives_them(manifest: dict[str, Any]) -> None:
    assert _deployed_environment()["THREADS"] == str(endpoint(manifest, "threadlineSend")["concurrency"])


def test_what_is_deployed_with_every_function_is_known() -> None:
    """gRPC's switch makes it start no thread for each read of Firestore. Without a terminal the Firebase CLI stops where a parameter
    has no value, even one that has a default, so that the defaults are in this file."""
    settings = _deployed_environment()
    defaults = {parameter.name: parameter.default for parameter in params.PARAMETERS if parameter.default is not None}
    assert settings == {"THREADS": "80", "GRPC_SINGLE_THREADED_UNARY_STREAM": "1"} | defaults


def test_the_path_of_a_message_keeps_an_instance_warm(manifest: dict[str, Any]) -> None:
    assert {name for name, found in manifest["endpoints"].items() if found.get("minInstances") == 1} == {
        "threadlineOnIngest",
        "threadlineOnOutbox",
        "threadlineSend",
    }


def test_the_send_queue_outlasts_a_lock_and_a_jobs_deadline_covers_its_budget(manifest: dict[str, Any]) -> None:
    send = endpoint(manifest, "threadlineSend")
    retry = send["taskQueueTrigger"]["retryConfig"]
    assert retry["maxAttempts"] >= 20
    assert retry["minBackoffSeconds"] * 2 ** retry["maxDoublings"] >= 60
    assert send["timeoutSeconds"] >= Timing().dispatch_deadline_s
    assert send["taskQueueTrigger"]["rateLimits"] == {"maxConcurrentDispatches": 500, "maxDispatchesPerSecond": 500}


def test_the_sweeper_runs_each_minute(manifest: dict[str, Any]) -> None:
    assert endpoint(manifest, "threadlineSweep")["scheduleTrigger"]["schedule"] == "* * * * *"


def test_loading_the_functions_opens_no_connection() -> None:
    program = (
        "import sys\n"
        "def deny(event, _):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo'):\n"
        "        raise SystemExit(f'{event} at import')\n"
        "sys.addaudithook(deny)\n"
        "import main\n"
        "print('loaded')\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FIRE")} | {
        "PYTHONPATH": ""
    }
    loaded = subprocess.run(
        [PYTHON, "-c", program], cwd=FUNCTIONS, env=environment, capture_output=True, text=True, check=False
    )
    assert loaded.stdout == "loaded\n", loaded.stderr


def _deployed_environment() -> dict[str, str]:
    return dict(line.split("=", 1) for line in _env_lines())


def _env_lines() -> list[str]:
    lines = (FUNCTIONS / ".env").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]
