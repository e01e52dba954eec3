"""A deployment with two connectors over the real engine, on one PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from local import engine_build, postgres
from local.postgres import Postgres
from local.processes import Processes
from local.production import world as production
from local.project import PROJECT_ID
from local.whatsapp import NetworkKind
from tests.connector_admin.running import CommandLine
from tests.doctor.deployed import Deployed


@pytest.fixture(scope="module")
def store(own_processes: Processes) -> Iterator[Postgres]:
    with postgres.running(own_processes) as running:
        yield running


@pytest.fixture(scope="module")
def deployed(own_processes: Processes, store: Postgres) -> Iterator[Deployed]:
    engine_build.build()
    world = production.start(own_processes, workers=2, gates=False, network=NetworkKind.REAL, engine_store=store.dsn)
    with closing(world.client()) as db:
        admin = CommandLine(project=PROJECT_ID, environment={"FIRESTORE_EMULATOR_HOST": world.firestore})
        started = Deployed(processes=own_processes, world=world, db=db, admin=admin)
        for worker in world.workers:
            started.await_ready(worker)
        yield started
