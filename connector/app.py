"""Puts the connector together, runs it until it is asked to stop, and takes it down in order."""

import asyncio
import signal

import aiohttp
from aiohttp import web
from google.cloud.firestore import AsyncClient

from connector import log
from connector.diagnosis import Diagnosis
from connector.engine_process import engine_of
from connector.flush import Flusher
from connector.health import Health
from connector.http_api import HttpApi
from connector.leases import Leases
from connector.settings import Settings
from connector.supervisor import Supervisor
from connector.takeover import TakeOver
from connector.wal import Wal
from identity.tokens import IdentityTokens, TokenVerifier


async def serve(settings: Settings) -> None:
    """Returns after SIGTERM or SIGINT, and raises what one of its tasks failed of, when all accounts are handed over."""
    log.redirect_foreign_logs()
    stopped = _stop_signal()
    timing = settings.timing
    # One call takes at most as long as a renewal may: then there is time for a second before the deadline.
    call_s = timing.lease_renew_s
    db = AsyncClient(project=settings.project, database=settings.database)
    wal = Wal(db, call_s, settings.event_memory_bytes)
    async with engine_of(settings.engine, call_s) as engine, aiohttp.ClientSession() as http:
        flusher = Flusher(http=http, tokens=IdentityTokens(), url=settings.flush_url, timing=timing)
        leases = Leases(
            db=db,
            worker=settings.worker_id,
            endpoint=settings.public_endpoint,
            ttl_s=timing.lease_ttl_s,
            call_s=call_s,
        )
        supervisor = Supervisor(
            db=db,
            leases=leases,
            engine=engine,
            wal=wal,
            flusher=flusher,
            timing=timing,
            max_accounts=settings.max_accounts,
            paces_sends=settings.paces_sends,
            phone_day_s=settings.phone_day_s,
            shows_groups=settings.shows_groups,
            trusts_announced=settings.trusts_announced,
        )
        take_over = TakeOver(
            leases=leases,
            succession=supervisor.succession,
            timing=timing,
            has_room=supervisor.has_room_to_ask,
        )
        health = Health(db=db, engine=engine)
        verifier = TokenVerifier(
            audience=settings.public_endpoint,
            service_account=settings.functions_service_account,
            certs_url=settings.identity_certs_url,
        )
        diagnosis = Diagnosis(settings=settings, engine=engine, health=health, flusher=flusher)
        api = HttpApi(supervisor=supervisor, take_over=take_over, verifier=verifier, health=health, diagnosis=diagnosis)
        runner = web.AppRunner(api.application(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, settings.host, settings.port).start()
        log.started(settings.worker_id, settings.public_endpoint)
        try:
            async with asyncio.TaskGroup() as tasks:
                workers = [tasks.create_task(work) for work in (wal.run(), supervisor.run(), take_over.run())]
                try:
                    await stopped.wait()
                finally:  # where one of these tasks has failed, too: else every lease would have to run out
                    log.stopping()
                    health.is_stopping = True
                    await supervisor.stop()
                for worker in workers:
                    worker.cancel()
        finally:
            await flusher.stop()
            await runner.cleanup()
    log.stopped()


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped
