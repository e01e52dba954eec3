"""The demo's launcher: starts the suite, lets the clients tell their story, then takes lines typed as messages of the contact.

    python -m local.demo [--once] [--real] [--port-offset N]

With --real the real engine speaks WhatsApp's protocol with a local server of it, instead of the simulated network. With --once it leaves after the first conversation, with status 0 only when what was shown stands in Firestore.
"""

import argparse
import json
import os
import select
import sys
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local import firestore_jar, suite
from local.control_client import ControlRefused
from local.demo import people, record
from local.network.client import Network
from local.ports import HOST
from local.processes import Child, Processes, StartFailed
from local.project import PROJECT_ID, REGION
from local.suite_ports import PortsTaken, SuitePorts
from local.whatsapp import NetworkKind

_STORY_LIMIT_S = 300.0
_RECORD_LIMIT_S = 10.0
_POLL_S = 0.2
_CLIENT = Path(__file__).with_name("client.mjs")


class DemoFailed(Exception):
    """The demo did not come to its end; the message says where it stopped."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.demo")
    parser.add_argument("--once", action="store_true", help="leave after the first conversation")
    parser.add_argument("--real", action="store_true", help="over the real engine and the wire-level server")
    parser.add_argument("--port-offset", type=int, default=0, metavar="N", help="added to every port")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        ports = SuitePorts.shifted(options.port_offset)
        ports.require_free(options.port_offset)
        with Processes(purpose="demo") as processes:
            print("Threadline: the demo starts", flush=True)
            demo = _start(processes, ports, NetworkKind.REAL if options.real else NetworkKind.SIMULATED)
            client, result = _tell_story(demo, began, once=options.once)
            if options.once:
                _hold_against_record(demo, result)
            else:
                _converse(demo, client)
    except (DemoFailed, StartFailed, PortsTaken, firestore_jar.NotFound, ValueError) as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nEnded; no process is left.")
        return 0
    return 0


def _start(processes: Processes, ports: SuitePorts, network: NetworkKind) -> suite.Suite:
    def report(what: str) -> None:
        print(f"  starting: {what}", flush=True)

    started = suite.start(processes, ports, report, network=network)
    report("two people who may sign in")
    for user in (people.SUPER_ADMIN, people.EMPLOYEE):
        people.create(started, user)
    return started


def _tell_story(demo: suite.Suite, began: float, *, once: bool) -> tuple[Child, Path]:
    """Starts the clients and returns when their first conversation is over."""
    result = demo.processes.folder / "shown.json"
    print(f"  all of it runs after {time.monotonic() - began:.0f} s\n", flush=True)
    client = demo.processes.spawn(
        "clients",
        ["node", _CLIENT],
        environment={
            "DEMO_SETTINGS": json.dumps(_client_settings(demo, result, once=once)),
            "DEMO_COLOURS": "1" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else "0",
        },
        shown=True,
    )
    _await(lambda: result.exists() or not client.is_running, _STORY_LIMIT_S, demo, "The conversation")
    if not result.exists():
        raise DemoFailed(f"The demo stopped there. Logs: {demo.processes.folder}")
    return client, result


def _client_settings(demo: suite.Suite, result: Path, *, once: bool) -> dict[str, Any]:
    return {
        "projectId": PROJECT_ID,
        "region": REGION,
        "auth": demo.auth,
        "firestore": demo.firestore,
        "functions": f"{HOST}:{demo.ports.functions_front}",
        "network": f"{HOST}:{demo.ports.network_control}",
        "superAdmin": {"email": people.SUPER_ADMIN.email, "password": people.PASSWORD},
        "employee": {"email": people.EMPLOYEE.email, "password": people.PASSWORD},
        "account": {"name": people.ACCOUNT.name, "phone": people.ACCOUNT.phone},
        "contact": {"name": people.CONTACT.name, "phone": people.CONTACT.phone},
        "resultFile": str(result),
        "once": once,
    }


def _hold_against_record(demo: suite.Suite, result: Path) -> None:
    """Raises DemoFailed when Firestore or the network's own record contradict what was shown."""
    shown = record.Shown.read(result)
    found: list[str] = []

    def holds() -> bool:
        found[:] = record.contradictions(record.Addresses.of(demo.ports), shown)
        return not found

    deadline = time.monotonic() + _RECORD_LIMIT_S  # a WAL row's last write may come just after what the client saw
    while not holds():
        if time.monotonic() > deadline:
            raise DemoFailed("What was shown does not stand:\n" + "\n".join(f"  {line}" for line in found))
        time.sleep(_POLL_S)
    print("\n✓ What was shown stands in Firestore and in the network's own record.", flush=True)


def _converse(demo: suite.Suite, client: Child) -> None:
    """Takes typed lines as the contact's messages until Ctrl-C; without any input it just stays up."""
    print(_addresses(demo), flush=True)
    network = Network(demo.ports.network_control)
    typed = b""
    listening = sys.stdin is not None
    while True:
        _require_running(demo, client)
        if not listening:
            time.sleep(_POLL_S)
            continue
        if not select.select([sys.stdin], [], [], _POLL_S)[0]:
            continue
        read = os.read(
            sys.stdin.fileno(), 65536
        )  # not readline: what it keeps back of a pasted text, select cannot see
        listening = read != b""
        *lines, typed = (typed + read).split(b"\n")
        for line in lines:
            _write_as_contact(network, line.decode(errors="replace").strip())


def _write_as_contact(network: Network, text: str) -> None:
    if not text:
        return
    try:
        network.write(people.CONTACT.phone, people.ACCOUNT.phone, text)
    except (ControlRefused, urllib.error.URLError) as refused:
        print(f"The network did not take this: {refused}", flush=True)


def _addresses(demo: suite.Suite) -> str:
    rows = {
        "Firestore": demo.firestore,
        "Auth": demo.auth,
        "Functions": demo.function_url(""),
        "Connector": demo.connector_url,
        "Cloud Tasks": f"{HOST}:{demo.ports.cloud_tasks} (control {demo.ports.cloud_tasks_control})",
        "WhatsApp's stand-in": f"http://{HOST}:{demo.ports.network_control} (local/network/README.md)",
        "Project": PROJECT_ID,
        "Super-admin": f"{people.SUPER_ADMIN.email}  password {people.PASSWORD}",
        "Employee": f"{people.EMPLOYEE.email}  password {people.PASSWORD}",
        "Logs": str(demo.processes.folder),
    }
    listed = "\n".join(f"  {name:<18} {value}" for name, value in rows.items())
    return f"\nIt stays up:\n{listed}\n\nType a line: {people.CONTACT.name} writes it. Ctrl-C ends everything.\n"


def _await(happened: Callable[[], bool], limit_s: float, demo: suite.Suite, what: str) -> None:
    deadline = time.monotonic() + limit_s
    while not happened():
        if time.monotonic() > deadline:
            raise DemoFailed(f"{what} did not come to its end within {limit_s:.0f} s. Logs: {demo.processes.folder}")
        _require_running(demo, None)
        time.sleep(_POLL_S)


def _require_running(demo: suite.Suite, client: Child | None) -> None:
    for child in demo.processes.children:
        if not child.is_running and (child is client or child.name != "clients"):
            raise DemoFailed(f"{child.name} ended by itself. The end of its log ({child.log}):\n{child.log_tail()}")


if __name__ == "__main__":
    sys.exit(main())
