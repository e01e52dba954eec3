"""Everything that the product runs on, on this machine: the Emulator Suite with our functions, Cloud Tasks, the scheduler,
identities, what stands in for WhatsApp and the connector, wired by the settings of docs/architecture.md."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backend.params import PARAMETERS
from backend.triggers.sending import threadlineSend
from local import firestore_jar, whatsapp
from local.cloud_run.front import Service, connector_service
from local.cloud_run.routes import Route
from local.cloud_run.routes import write as write_routes
from local.cloud_tasks.settings import QueueSettings, queue_of_manifest
from local.identity_server import CONNECTOR_ACCOUNT, FUNCTIONS_ACCOUNT, TASKS_ACCOUNT
from local.ports import HOST
from local.processes import Child, Processes, StartFailed, answers, printed
from local.production.manifest import SCHEDULER_ACCOUNT, discover
from local.project import PROJECT_ID, PYTHONPATH, REGION, ROOT
from local.suite_ports import FIREBASE_JSON, SuitePorts
from local.whatsapp import NetworkKind

_FIREBASE = ROOT / "local/firebase_tools/node_modules/firebase-tools/lib/bin/firebase.js"
_EMULATOR_OPTIONS = (
    *("--only", "auth,firestore,functions", "--project", PROJECT_ID),
    *("--config", "firebase.json", "--non-interactive"),
)
_SUITE_LIMIT_S = 120.0
_LIMIT_S = 30.0

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """The addresses of a suite that runs, and its processes. Functions and connector are behind Cloud Run's front end."""

    ports: SuitePorts
    processes: Processes
    connector: Child

    @property
    def firestore(self) -> str:
        return _address(self.ports.firestore)

    @property
    def auth(self) -> str:
        return _address(self.ports.auth)

    @property
    def connector_url(self) -> str:
        return _url(self.ports.connector_front)

    def function_url(self, name: str) -> str:
        return _function_url(self.ports, name)

    def environment(self) -> dict[str, str]:
        """What a server's client needs to work against this suite."""
        return _server_environment(self.ports)


def start(
    processes: Processes,
    suite_ports: SuitePorts,
    report: Report,
    *,
    network: NetworkKind = NetworkKind.SIMULATED,
    time_scale: float = 1.0,
) -> Suite:
    """Starts everything and returns when all of it serves. Raises StartFailed, or firestore_jar.NotFound."""
    scale = {"TIME_SCALE": str(time_scale)}

    report("Emulator Suite: Auth, Firestore, Functions")
    firebase = _spawn_emulators(processes, suite_ports, scale)
    identity = _spawn_python(
        processes,
        "identity",
        "local.identity_server",
        "--functions-port",
        suite_ports.identity_functions,
        "--connector-port",
        suite_ports.identity_connector,
        "--certs-port",
        suite_ports.identity_certs,
    )
    stand_in = whatsapp.spawn(processes, network, control_port=suite_ports.network_control, scale=scale)
    tasks = _spawn_python(
        processes,
        "cloud-tasks",
        "local.cloud_tasks",
        "--port",
        suite_ports.cloud_tasks,
        "--control-port",
        suite_ports.cloud_tasks_control,
        "--queue",
        send_queue().argument(),
        "--tokens-url",
        _url(suite_ports.identity_certs),
        environment=scale,
    )
    fronts = [
        _spawn_front(processes, suite_ports, "functions-front", suite_ports.functions_front, _function_routes),
        _spawn_front(processes, suite_ports, "connector-front", suite_ports.connector_front, _connector_routes),
    ]
    for helper in (identity, stand_in.child, tasks, *fronts):
        processes.await_ready(helper, printed("ready "), time_limit_s=_LIMIT_S)
    processes.await_ready(firebase, answers(suite_ports.firestore), time_limit_s=_SUITE_LIMIT_S)
    settings = {**stand_in.connector_environment(processes), **_connector_environment(suite_ports), **scale}
    connector = _spawn_python(processes, "connector", "connector", environment=settings)
    processes.await_ready(firebase, _emulators_ready, time_limit_s=_SUITE_LIMIT_S)

    report("Connector")
    processes.await_ready(connector, answers(suite_ports.connector), time_limit_s=_LIMIT_S)
    scheduler = _spawn_python(
        processes,
        "scheduler",
        "local.scheduler",
        *("--url", _function_url(suite_ports, "threadlineSweep")),
        *("--service-account", SCHEDULER_ACCOUNT, "--tokens-url", _url(suite_ports.identity_certs)),
        environment=scale,
    )
    processes.await_ready(scheduler, printed("ready "), time_limit_s=_LIMIT_S)
    return Suite(ports=suite_ports, processes=processes, connector=connector)


def send_queue() -> QueueSettings:
    """The send queue with the settings that are deployed."""
    return queue_of_manifest("threadlineSend", threadlineSend.__firebase_endpoint__.taskQueueTrigger)  # type: ignore[attr-defined] # the decorator adds it


def _spawn_front(
    processes: Processes,
    suite_ports: SuitePorts,
    name: str,
    port: int,
    routes_of: Callable[[Processes, SuitePorts], list[Route]],
) -> Child:
    routes = processes.folder / f"{name}.json"
    write_routes(routes, routes_of(processes, suite_ports))
    certs = f"{_url(suite_ports.identity_certs)}/certs"
    return _spawn_python(
        processes,
        name,
        "local.cloud_run",
        *("--port", port, "--certs-url", certs, "--services", routes),
        "--close-connections",
    )


def _function_routes(processes: Processes, suite_ports: SuitePorts) -> list[Route]:
    """Of every function, under the path that the Functions emulator and its clients call it by."""
    return [
        Route(
            path=_function_path(name),
            # The Functions emulator names a scheduled function by its number, too.
            instance=f"{_url(suite_ports.functions)}{_function_path(name)}{'-0' if function.is_scheduled else ''}",
            service=Service(
                name=name,
                audiences=frozenset({_function_url(suite_ports, name)}),
                invokers=frozenset(function.invokers),
            ),
        )
        for name, function in discover(processes, _parameters(suite_ports)).items()
    ]


def _connector_routes(_processes: Processes, suite_ports: SuitePorts) -> list[Route]:
    service = connector_service(_url(suite_ports.connector_front), FUNCTIONS_ACCOUNT)
    return [Route(path="", instance=_url(suite_ports.connector), service=service)]


def _spawn_emulators(processes: Processes, suite_ports: SuitePorts, scale: dict[str, str]) -> Child:
    folder = _emulators_folder(processes.folder / "emulators", suite_ports)
    java = firestore_jar.java().parent
    environment = {
        **scale,
        **_functions_environment(suite_ports),
        "PATH": f"{java}{os.pathsep}{os.environ['PATH']}",
        firestore_jar.JAR_VARIABLE: str(firestore_jar.jar()),
        # The functions see what they will see when deployed: nothing of this machine's Python set-up or Google account.
        "PYTHONPATH": "",
        "VIRTUAL_ENV": "",
        "GOOGLE_APPLICATION_CREDENTIALS": "",
        "XDG_CONFIG_HOME": str(folder / "config"),
        # No update checks, no questions, no search for a metadata server; its scratch files go with the run.
        "CI": "true",
        "NO_UPDATE_NOTIFIER": "1",
        "METADATA_SERVER_DETECTION": "none",
        "TMPDIR": str(folder / "tmp"),
    }
    return processes.spawn(
        "emulators",
        ["node", str(_FIREBASE), "emulators:start", *_EMULATOR_OPTIONS],
        environment=environment,
        folder=folder,
        grace_s=0,  # it keeps nothing, and would take seconds over ending
    )


def _emulators_folder(folder: Path, suite_ports: SuitePorts) -> Path:
    """A Firebase project that is made of links to ours, with these ports. Its parameters take the place of a deployment's .env files."""
    functions = folder / "functions"
    for made in (functions, folder / "tmp", folder / "config"):
        made.mkdir(parents=True)
    config = suite_ports.firebase_config(json.loads(FIREBASE_JSON.read_text()))
    (functions / f".env.{PROJECT_ID}").write_text(
        "".join(f"{name}={value}\n" for name, value in _parameters(suite_ports).items())
    )
    (folder / "firebase.json").write_text(json.dumps(config, indent=2))
    for name in (config["firestore"]["rules"], config["firestore"]["indexes"]):
        (folder / name).symlink_to(ROOT / name)
    for entry in (ROOT / "functions").iterdir():
        if not entry.name.startswith((".env", "__pycache__")):
            (functions / entry.name).symlink_to(entry)
    return folder


def _emulators_ready(child: Child) -> bool:
    """Raises StartFailed when a function does not load: the Suite itself would report it and go on without any."""
    log = child.log_text()
    if "Failed to load function definition" in log:
        raise StartFailed(f"The functions do not load. The end of the Suite's log ({child.log}):\n{child.log_tail()}")
    return "All emulators ready" in log


def _spawn_python(
    processes: Processes, name: str, module: str, *arguments: object, environment: dict[str, str] | None = None
) -> Child:
    return processes.spawn(
        name,
        [sys.executable, "-m", module, *(str(argument) for argument in arguments)],
        environment={
            "PYTHONPATH": PYTHONPATH,
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
        },
    )


def _server_environment(suite_ports: SuitePorts) -> dict[str, str]:
    return {
        "GOOGLE_CLOUD_PROJECT": PROJECT_ID,
        "FIRESTORE_EMULATOR_HOST": _address(suite_ports.firestore),
        "FIREBASE_AUTH_EMULATOR_HOST": _address(suite_ports.auth),
        "IDENTITY_CERTS_URL": f"{_url(suite_ports.identity_certs)}/certs",
        "FUNCTIONS_SERVICE_ACCOUNT": FUNCTIONS_ACCOUNT,
        "CONNECTOR_SERVICE_ACCOUNT": CONNECTOR_ACCOUNT,
        "FLUSH_URL": _function_url(suite_ports, "threadlineFlush"),
    }


def _parameters(suite_ports: SuitePorts) -> dict[str, str]:
    """Of functions/backend/params.py."""
    given = {
        "CONNECTOR_ENDPOINTS": _url(suite_ports.connector_front),
        "FUNCTIONS_SERVICE_ACCOUNT": FUNCTIONS_ACCOUNT,
        "CONNECTOR_SERVICE_ACCOUNT": CONNECTOR_ACCOUNT,
        "TASKS_SERVICE_ACCOUNT": TASKS_ACCOUNT,
        "FUNCTIONS_REGION": REGION,
    }
    return {parameter.name: parameter.default or "" for parameter in PARAMETERS} | given


def _functions_environment(suite_ports: SuitePorts) -> dict[str, str]:
    return {
        **_server_environment(suite_ports),
        "SEND_URL": _function_url(suite_ports, "threadlineSend"),
        "CLOUD_TASKS_GRPC": _address(suite_ports.cloud_tasks),
        "GCE_METADATA_HOST": _address(suite_ports.identity_functions),
    }


def _connector_environment(suite_ports: SuitePorts) -> dict[str, str]:
    return {
        **_server_environment(suite_ports),
        "PUBLIC_ENDPOINT": _url(suite_ports.connector_front),
        "PACING": "off",  # nobody is banned here, and tests send in bursts
        "HOST": HOST,
        "PORT": str(suite_ports.connector),
        "GCE_METADATA_HOST": _address(suite_ports.identity_connector),
    }


def _address(port: int) -> str:
    return f"{HOST}:{port}"


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _function_url(suite_ports: SuitePorts, name: str) -> str:
    return f"{_url(suite_ports.functions_front)}{_function_path(name)}"


def _function_path(name: str) -> str:
    return f"/{PROJECT_ID}/{REGION}/{name}"
