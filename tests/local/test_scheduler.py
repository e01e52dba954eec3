"""The scheduler runs a function each interval, one run at a time, whatever becomes of a run."""

import asyncio
import time

from identity.tokens import TokenVerifier
from local.ports import free_port
from local.processes import Processes
from tests.local.handler import handler_served
from tests.local.running import running, until

SCALE = {"TIME_SCALE": "0.005"}
INTERVAL_S = 0.3


async def test_a_function_is_posted_an_empty_object_each_scaled_minute(processes: Processes) -> None:
    async with handler_served() as handler:
        with running(processes, "local.scheduler", f"--url={handler.url}", environment=SCALE):
            await until(lambda: len(handler.asked) == 4)
        assert {(asked.method, asked.body) for asked in handler.asked} == {("POST", b"{}")}
        assert handler.asked[-1].at - handler.asked[0].at >= 3 * INTERVAL_S * 0.9


async def test_a_run_carries_the_token_of_the_service_account_that_is_named(processes: Processes) -> None:
    account, issuer_port = "scheduler@demo.iam.gserviceaccount.com", free_port()
    identity = [f"--functions-port={free_port()}", f"--connector-port={free_port()}", f"--certs-port={issuer_port}"]
    async with handler_served() as handler:
        named = [f"--service-account={account}", f"--tokens-url=http://127.0.0.1:{issuer_port}"]
        with (
            running(processes, "local.identity_server", *identity),
            running(processes, "local.scheduler", f"--url={handler.url}", *named, environment=SCALE),
        ):
            await until(lambda: len(handler.asked) >= 1)
            certs_url = f"http://127.0.0.1:{issuer_port}/certs"
            verifier = TokenVerifier(audience=handler.url, service_account=account, certs_url=certs_url)
            await asyncio.to_thread(verifier.check, handler.asked[0].headers)


async def test_a_run_that_fails_is_told_and_the_next_one_comes(processes: Processes) -> None:
    async with handler_served() as handler:
        handler.answers = [500]
        with running(processes, "local.scheduler", f"--url={handler.url}", environment=SCALE) as scheduler:
            await until(lambda: len(handler.asked) == 2)
            assert scheduler.log_text().count("scheduled run failed: answered 500") == 1


async def test_a_function_that_cannot_be_reached_is_told(processes: Processes) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    with running(processes, "local.scheduler", f"--url={url}", environment=SCALE) as scheduler:
        await until(lambda: scheduler.log_text().count("scheduled run failed") >= 2)


async def test_runs_never_overlap(processes: Processes) -> None:
    async with handler_served() as handler:
        handler.gate.clear()
        with running(processes, "local.scheduler", f"--url={handler.url}", environment=SCALE):
            await until(lambda: len(handler.asked) == 1)
            ended_late = handler.asked[0].at + 3 * INTERVAL_S
            await until(lambda: time.time() >= ended_late)
            handler.gate.set()
            await until(lambda: len(handler.asked) == 3)
        assert handler.most_at_once == 1
        assert all(later.at >= ended_late for later in handler.asked[1:])
