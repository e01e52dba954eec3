"""Starts the product as production runs it, wired by the settings of docs/architecture.md, on ports that the system chooses."""

import os
import secrets
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from pathlib import Path

from google.cloud.firestore import Client

from local import emulator, ports, whatsapp
from local.cloud_run.forwarding import PENDING_S
from local.cloud_run.front import connector_service
from local.cloud_run.routes import Route
from local.cloud_run.routes import write as write_routes
from local.cloud_tasks.client import TaskServer
from local.identity_server import CONNECTOR_ACCOUNT, FUNCTIONS_ACCOUNT, TASKS_ACCOUNT
from local.network.client import Network
from local.ports import HOST
from local.processes import Child, Processes, answers, printed
from local.production.clients import Cloud, ConnectorGate, FirestoreCounter, FirestoreGate
from local.production.cloud import CloudSettings
from local.production.manifest import FUNCTIONS, SCHEDULER_ACCOUNT, DeployedFunction, deployed_environment, discover
from local.project import PROJECT_ID, PYTHONPATH
from local.whatsapp import NetworkKind

MESSAGE_PATH = ("threadlineOnIngest", "threadlineOnOutbox", "threadlineSend", "threadlineFlush", "threadlineSweep")
"""The functions that messages need; the callables are left out, since each function costs a second of start."""
CLIENT, CONNECTOR, FUNCTION = "client", "connector", "functions"
"""Who calls Firestore, as a counter or a gate names them. A counter has a name for each function, a gate one for each connector."""
_SKEWED_CONNECTOR = "local.production.skewed_connector"
DEFAULT_DATABASE = "(default)"
_LIMIT_S = 60.0
_EMULATOR_VARIABLE = "FIRESTORE_EMULATOR_HOST"


@dataclass(frozen=True, kw_only=True)
class WorkerPorts:
    """One connector's, with those of the gate (or front) before it and of the gate before its Firestore."""

    connector: int = field(default_factory=ports.free_port)
    gate: int = field(default_factory=ports.free_port)
    gate_control: int = field(default_factory=ports.free_port)
    firestore_gate: int = field(default_factory=ports.free_port)


@dataclass(frozen=True, kw_only=True)
class Ports:
    """All of one world's, but for its connectors'."""

    firestore: int = field(default_factory=ports.free_port)
    firestore_gate: int = field(default_factory=ports.free_port)
    firestore_gate_control: int = field(default_factory=ports.free_port)
    events: int = field(default_factory=ports.free_port)
    front: int = field(default_factory=ports.free_port)
    cloud_control: int = field(default_factory=ports.free_port)
    tasks: int = field(default_factory=ports.free_port)
    tasks_control: int = field(default_factory=ports.free_port)
    identity_functions: int = field(default_factory=ports.free_port)
    identity_connector: int = field(default_factory=ports.free_port)
    identity_certs: int = field(default_factory=ports.free_port)
    network_control: int = field(default_factory=ports.free_port)
    counter_control: int = field(default_factory=ports.free_port)
    counted: Mapping[str, int] = field(default_factory=dict)
    """The counter's ports, by client; empty in a world without a counter."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One connector. `child` is what was started with the world; whoever has killed it starts another with `spawn_worker`."""

    name: str
    """Of its log, and as the gate before Firestore names it."""
    ports: WorkerPorts
    environment: Mapping[str, str]
    gate: ConnectorGate | None
    child: Child
    clock_ahead_s: float = 0.0
    """How far its wall clock is ahead of this machine's; below 0, behind it. Also that of whatever is started in its place."""

    @property
    def endpoint(self) -> str:
        """As its leases name it, whichever process it is by now."""
        return self.environment["PUBLIC_ENDPOINT"]


@dataclass(frozen=True, kw_only=True)
class World:
    """What runs. `firestore_gate` and the workers' gates are None in a world without gates, which is a little faster.

    Cloud Run's front end is before every connector and every function, with gates and without.
    """

    processes: Processes
    ports: Ports
    database: str
    """The one of Firestore that the product is in."""
    functions: Mapping[str, DeployedFunction]
    cloud: Cloud
    tasks: TaskServer
    network: Network
    firestore_gate: FirestoreGate | None
    counter: FirestoreCounter | None
    workers: Sequence[Worker]

    @property
    def connector(self) -> Child | None:
        """The only one, in a world that has one."""
        return self.workers[0].child if self.workers else None

    @property
    def connector_gates(self) -> list[ConnectorGate]:
        return [worker.gate for worker in self.workers if worker.gate is not None]

    @property
    def firestore(self) -> str:
        """The emulator itself, past the gate."""
        return _address(self.ports.firestore)

    def client(self) -> Client:
        """A server's client, which no rule and no gate stops. The caller closes it."""
        return emulator_client(self.firestore, self.database)

    def counted_client(self) -> Client:
        """The client app, in a world with a counter. The caller closes it."""
        return emulator_client(_address(self.ports.counted[CLIENT]))

    def function_url(self, name: str) -> str:
        return f"{_url(self.ports.front)}/{name}"


def start(
    processes: Processes,
    *,
    time_scale: float = 1.0,
    source: Path = FUNCTIONS,
    names: Collection[str] | None = MESSAGE_PATH,
    instances: Mapping[str, int] | None = None,
    gates: bool = True,
    counted: bool = False,
    workers: int = 1,
    clocks_ahead_s: Sequence[float] = (),
    network: NetworkKind = NetworkKind.SIMULATED,
    engine_store: str | None = None,
    late_s: float = 4.0,
    environment: Mapping[str, str] | None = None,
    connector_environment: Mapping[str, str] | None = None,
    database: str = DEFAULT_DATABASE,
    rules: Path | None = None,
) -> World:
    """Starts everything, as far as possible at the same time, and returns when all of it serves. Raises StartFailed.

    `names`: the functions wanted of `source` (None: all); `environment` is added to what the functions are given,
    `connector_environment` to what each connector is. Several `workers` over the real network need an `engine_store` that they can
    share. `clocks_ahead_s`: how far the wall clock of each is ahead of this machine's; those that are not named go right.
    `database`: everything of the product is in this one of Firestore. Without `rules` clients may do everything.
    `counted`: a counter takes the place of the gate before Firestore. `engine_store` is the real network's alone.
    """
    used = Ports()
    started = [WorkerPorts() for _ in range(workers)]
    scale = {"TIME_SCALE": str(time_scale)}
    stand_in = whatsapp.spawn(
        processes, network, control_port=used.network_control, scale=scale, seed=1, engine_store=engine_store
    )
    waiting = [_spawn_identity(processes, used), stand_in.child]
    functions_environment = {
        **deployed_environment(source),
        **_functions_environment(used, started, gates=gates),
        **scale,
        "FIRESTORE_DATABASE": database,
        **(environment or {}),
    }
    functions = _wanted(discover(processes, functions_environment, source), names)
    if counted:
        used = replace(used, counted={client: ports.free_port() for client in (CLIENT, CONNECTOR, *functions)})
    queues = [function.queue.argument() for function in functions.values() if function.queue is not None]
    if queues:
        waiting.append(_spawn_tasks(processes, used, queues, scale))
    cloud_settings = processes.folder / "cloud.json"
    CloudSettings(
        source=str(source),
        logs=str(processes.folder),
        functions=tuple(functions.values()),
        instances=dict(instances or {}),
        environment=functions_environment,
        environments={name: _counted_environment(used, name) for name in functions},
        firestore=_address(used.firestore),
        events_port=used.events,
        front_port=used.front,
        certs_url=_certs_url(used),
        control_port=used.cloud_control,
        time_scale=time_scale,
        late_s=late_s,
    ).write(cloud_settings)
    cloud = _spawn(processes, "cloud", "local.production.cloud", cloud_settings)
    emulator.start_firestore(processes, used.firestore, rules=rules, functions_port=used.events)
    names_of = {CONNECTOR if workers == 1 else f"{CONNECTOR}-{number}": ports for number, ports in enumerate(started)}
    if gates:
        waiting += _spawn_gates(processes, used, names_of, late_s, time_scale)
    else:
        waiting += _spawn_fronts(processes, used, names_of, time_scale)
    if counted:
        waiting.append(_spawn_counter(processes, used))
    reached = stand_in.connector_environment(processes) if workers else {}
    at_work = [
        _start_worker(
            processes,
            name,
            of_worker,
            {
                **reached,
                **_worker_environment(used, of_worker, gates=gates),
                **scale,
                "FIRESTORE_DATABASE": database,
                **(connector_environment or {}),
            },
            gates=gates,
            clock_ahead_s=clock_ahead_s,
        )
        for (name, of_worker), clock_ahead_s in zip(names_of.items(), chain(clocks_ahead_s, repeat(0.0)), strict=False)
    ]
    for child in [*waiting, cloud]:
        processes.await_ready(child, printed("ready "), time_limit_s=_LIMIT_S)
    for worker in at_work:
        processes.await_ready(worker.child, answers(worker.ports.connector), time_limit_s=_LIMIT_S)
    return World(
        processes=processes,
        ports=used,
        database=database,
        functions=functions,
        cloud=Cloud(used.cloud_control),
        tasks=TaskServer(used.tasks_control),
        network=Network(used.network_control),
        firestore_gate=FirestoreGate(used.firestore_gate_control) if gates else None,
        counter=FirestoreCounter(used.counter_control) if counted else None,
        workers=at_work,
    )


def start_scheduler(world: World, *, interval_s: float, time_scale: float) -> Child:
    """The sweeper's clock. `interval_s` is scaled."""
    arguments = (
        *("--url", world.function_url("threadlineSweep"), "--interval-s", interval_s),
        *("--service-account", SCHEDULER_ACCOUNT, "--tokens-url", _url(world.ports.identity_certs)),
    )
    child = _spawn(
        world.processes, "scheduler", "local.scheduler", *arguments, environment={"TIME_SCALE": str(time_scale)}
    )
    world.processes.await_ready(child, printed("ready "))
    return child


def emulator_client(address: str, database: str = DEFAULT_DATABASE) -> Client:
    """A client of one emulator's database, whatever this process's own environment says."""
    before = os.environ.get(_EMULATOR_VARIABLE)
    os.environ[_EMULATOR_VARIABLE] = address
    try:
        return Client(project=PROJECT_ID, database=database)
    finally:
        if before is None:
            del os.environ[_EMULATOR_VARIABLE]
        else:
            os.environ[_EMULATOR_VARIABLE] = before


def _wanted(found: Mapping[str, DeployedFunction], names: Collection[str] | None) -> dict[str, DeployedFunction]:
    return {name: function for name, function in found.items() if names is None or name in names}


def _spawn_identity(processes: Processes, used: Ports) -> Child:
    arguments = ("--functions-port", used.identity_functions, "--connector-port", used.identity_connector)
    return _spawn(processes, "identity", "local.identity_server", *arguments, "--certs-port", used.identity_certs)


def _spawn_tasks(processes: Processes, used: Ports, queues: list[str], scale: dict[str, str]) -> Child:
    arguments: list[object] = ["--port", used.tasks, "--control-port", used.tasks_control]
    arguments += ["--tokens-url", _url(used.identity_certs)]
    for queue in queues:
        arguments += ["--queue", queue]
    return _spawn(processes, "cloud-tasks", "local.cloud_tasks", *arguments, environment=scale)


def _spawn_gates(
    processes: Processes, used: Ports, workers: Mapping[str, WorkerPorts], late_s: float, time_scale: float
) -> list[Child]:
    clients = {FUNCTION: used.firestore_gate} | {name: of_worker.firestore_gate for name, of_worker in workers.items()}
    arguments: list[object] = ["--control-port", used.firestore_gate_control, "--firestore", _address(used.firestore)]
    for client, port in clients.items():
        arguments += ["--client", f"{client}={port}"]
    return [_spawn(processes, "firestore-gate", "local.production.firestore_gate", *arguments)] + [
        _spawn(
            processes,
            name.replace(CONNECTOR, f"{CONNECTOR}-gate"),
            "local.production.connector_gate",
            *("--port", of_worker.gate, "--control-port", of_worker.gate_control, "--late-s", late_s),
            *("--connector", _url(of_worker.connector), "--endpoint", _url(of_worker.gate)),
            *("--invoker", FUNCTIONS_ACCOUNT, "--certs-url", _certs_url(used), "--pending-s", PENDING_S * time_scale),
        )
        for name, of_worker in workers.items()
    ]


def _spawn_fronts(
    processes: Processes, used: Ports, workers: Mapping[str, WorkerPorts], time_scale: float
) -> list[Child]:
    return [_spawn_front(processes, used, name, of_worker, time_scale) for name, of_worker in workers.items()]


def _spawn_front(processes: Processes, used: Ports, name: str, worker: WorkerPorts, time_scale: float) -> Child:
    service = connector_service(_url(worker.gate), FUNCTIONS_ACCOUNT)
    routes = processes.folder / f"{name}.routes.json"
    write_routes(routes, [Route(path="", instance=_url(worker.connector), service=service)])
    return _spawn(
        processes,
        name.replace(CONNECTOR, f"{CONNECTOR}-front"),
        "local.cloud_run",
        *("--port", worker.gate, "--services", routes),
        *("--certs-url", _certs_url(used), "--pending-s", PENDING_S * time_scale),
    )


def _spawn_counter(processes: Processes, used: Ports) -> Child:
    arguments: list[object] = ["--control-port", used.counter_control, "--firestore", _address(used.firestore)]
    for client, port in used.counted.items():
        arguments += ["--client", f"{client}={port}"]
    return _spawn(processes, "firestore-counter", "local.production.firestore_counter", *arguments)


def _counted_environment(used: Ports, client: str) -> dict[str, str]:
    return {_EMULATOR_VARIABLE: _address(used.counted[client])} if client in used.counted else {}


def _start_worker(
    processes: Processes,
    name: str,
    used: WorkerPorts,
    environment: Mapping[str, str],
    *,
    gates: bool,
    clock_ahead_s: float,
) -> Worker:
    return Worker(
        name=name,
        ports=used,
        environment=environment,
        gate=ConnectorGate(used.gate_control) if gates else None,
        child=_spawn_connector(processes, name, environment, clock_ahead_s),
        clock_ahead_s=clock_ahead_s,
    )


def spawn_worker(processes: Processes, worker: Worker) -> Child:
    """Another process in a worker's place, which is not waited for."""
    return _spawn_connector(processes, worker.name, worker.environment, worker.clock_ahead_s)


def _spawn_connector(processes: Processes, name: str, environment: Mapping[str, str], clock_ahead_s: float) -> Child:
    # Each process has a name of its own, as in production.
    worker_id = f"{name}-{secrets.token_hex(4)}"
    named = {"WORKER_ID": worker_id, "PGAPPNAME": worker_id}  # the second one is its engine's, at PostgreSQL
    if not clock_ahead_s:
        return _spawn(processes, name, "connector", environment={**environment, **named})
    clock = {"CLOCK_AHEAD_S": str(clock_ahead_s)}
    return _spawn(processes, name, _SKEWED_CONNECTOR, environment={**environment, **named, **clock})


def _worker_environment(used: Ports, worker: WorkerPorts, *, gates: bool) -> dict[str, str]:
    return {
        **_common_environment(used, worker.firestore_gate if gates else used.firestore),
        **_counted_environment(used, CONNECTOR),
        "PUBLIC_ENDPOINT": _url(worker.gate),
        "PACING": "off",  # nobody is banned here, and what is measured is the speed of the product
        "HOST": HOST,
        "PORT": str(worker.connector),
        "GCE_METADATA_HOST": _address(used.identity_connector),
    }


def _spawn(
    processes: Processes, name: str, module: str, *arguments: object, environment: Mapping[str, str] | None = None
) -> Child:
    return processes.spawn(
        name,
        [sys.executable, "-m", module, *map(str, arguments)],
        environment={"PYTHONPATH": PYTHONPATH, "PYTHONUNBUFFERED": "1", **(environment or {})},
        grace_s=2.0,
    )


def _common_environment(used: Ports, firestore_port: int) -> dict[str, str]:
    return {
        "GOOGLE_CLOUD_PROJECT": PROJECT_ID,
        _EMULATOR_VARIABLE: _address(firestore_port),
        "IDENTITY_CERTS_URL": _certs_url(used),
        "FUNCTIONS_SERVICE_ACCOUNT": FUNCTIONS_ACCOUNT,
        "CONNECTOR_SERVICE_ACCOUNT": CONNECTOR_ACCOUNT,
        "FLUSH_URL": f"{_url(used.front)}/threadlineFlush",
    }


def _functions_environment(used: Ports, workers: Sequence[WorkerPorts], *, gates: bool) -> dict[str, str]:
    """They see what they will see when deployed: nothing of this machine's Python set-up or Google account."""
    return {
        **_common_environment(used, used.firestore_gate if gates else used.firestore),
        "CONNECTOR_ENDPOINTS": ",".join(_url(worker.gate) for worker in workers or [WorkerPorts()]),
        "TASKS_SERVICE_ACCOUNT": TASKS_ACCOUNT,
        "SEND_URL": f"{_url(used.front)}/threadlineSend",
        "CLOUD_TASKS_GRPC": _address(used.tasks),
        "GCE_METADATA_HOST": _address(used.identity_functions),
        "PYTHONPATH": "",
        "VIRTUAL_ENV": "",
        "GOOGLE_APPLICATION_CREDENTIALS": "",
    }


def _certs_url(used: Ports) -> str:
    return f"{_url(used.identity_certs)}/certs"


def _address(port: int) -> str:
    return f"{HOST}:{port}"


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"
