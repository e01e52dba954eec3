"""python -m local.production.cloud SETTINGS: Cloud Run with its front end, and Eventarc, as one process; SETTINGS is a JSON file of CloudSettings."""

import argparse
import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp

from local.cloud_run.front import Front
from local.cloud_run.front import Service as CloudRunService
from local.cloud_run.google_tokens import GoogleTokens
from local.cloud_tasks.settings import QueueSettings
from local.production.control import Control
from local.production.delivery import Delivery, Lengths
from local.production.front_door import FrontDoor
from local.production.instances import Instance, Service
from local.production.manifest import DeployedFunction, Trigger
from local.production.relay import Relay
from local.serving import HOST, serve_until_terminated, start_http


@dataclass(frozen=True, kw_only=True)
class CloudSettings:
    """`instances` is how many of each function there are (1 unless named), `environment` what all functions are given,
    `environments` what one of them is given besides."""

    source: str
    logs: str
    functions: tuple[DeployedFunction, ...]
    instances: Mapping[str, int]
    environment: Mapping[str, str]
    environments: Mapping[str, Mapping[str, str]]
    firestore: str
    events_port: int
    front_port: int
    certs_url: str
    control_port: int
    time_scale: float
    late_s: float

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=2))

    @classmethod
    def read(cls, file: Path) -> "CloudSettings":
        fields = json.loads(file.read_text())
        return cls(**{**fields, "functions": tuple(_function(function) for function in fields["functions"])})


def _function(fields: dict[str, Any]) -> DeployedFunction:
    trigger, queue = fields["trigger"], fields["queue"]
    made = {
        "trigger": Trigger(**trigger) if isinstance(trigger, dict) else None,
        "queue": QueueSettings(**queue) if isinstance(queue, dict) else None,
    }
    return DeployedFunction(**{**fields, **made, "invokers": tuple(fields["invokers"])})


async def serve(settings: CloudSettings) -> None:
    services = {function.name: _service(function, settings) for function in settings.functions}
    connections = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connections, auto_decompress=False) as session:
        delivery = Delivery(services, session, Lengths(late_s=settings.late_s))
        front = Front(GoogleTokens(settings.certs_url, session))
        fronted = {function.name: _fronted(function, settings) for function in settings.functions}
        relay = Relay(delivery, settings.functions, settings.time_scale)
        runners = [
            await start_http(relay.application(), settings.events_port),
            await start_http(FrontDoor(delivery, front, fronted).application(), settings.front_port),
            await start_http(Control(delivery).application(), settings.control_port),
        ]
        runs = [
            asyncio.create_task(instance.run(delivery.counters))
            for service in services.values()
            for instance in service.instances
        ]
        try:
            for service in services.values():
                await service.wait_until_up()
            await relay.register(settings.firestore)
            await serve_until_terminated(f"cloud with {', '.join(services)}")
        finally:
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)
            for runner in runners:
                await runner.cleanup()


def _fronted(function: DeployedFunction, settings: CloudSettings) -> CloudRunService:
    """A function's own address is an audience that its service takes."""
    address = f"http://{HOST}:{settings.front_port}/{function.name}"
    return CloudRunService(name=function.name, audiences=frozenset({address}), invokers=frozenset(function.invokers))


def _service(function: DeployedFunction, settings: CloudSettings) -> Service:
    numbers = range(settings.instances.get(function.name, 1))
    source, logs = Path(settings.source), Path(settings.logs)
    environment = {**settings.environment, **settings.environments.get(function.name, {})}
    return Service(function, [Instance(function, number, environment, source, logs) for number in numbers])


def main() -> None:
    parser = argparse.ArgumentParser(prog="local.production.cloud")
    parser.add_argument("settings", type=Path)
    asyncio.run(serve(CloudSettings.read(parser.parse_args().settings)))


if __name__ == "__main__":
    main()
