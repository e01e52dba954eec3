"""A connector that answers as a test says, and keeps its own record of the frames that left: real HTTP, no WhatsApp.

The answers that it can be told to give (a 500, none at all, a late one, garbage) are those that the real connector gives only when it
is broken. The same server also receives the send jobs that Cloud Tasks dispatches, and hands them to `run_job`.
"""

import contextlib
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from backend.send_queue import Job, parse_job
from core import contract

JOBS_PATH = "/jobs"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a contact would get."""

    account_id: str
    chat_id: str
    key: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How one POST is answered. `reaches_wire`: whether a frame leaves, which notAfter still forbids once it has passed."""

    outcome: str = "sent"
    reason: str = ""
    reaches_wire: bool = True
    waits_before_wire_s: float = 0.0
    waits_after_wire_s: float = 0.0
    status: int = 200
    body: str | None = None
    breaks: bool = False
    before: Callable[[], None] | None = None
    after: Callable[[], None] | None = None
    """Called when the frame has left, or was kept back because notAfter had passed."""


@dataclass
class ScriptedConnector:
    """`script(key, ...)` queues answers for a message; without any, everything is sent."""

    run_job: Callable[[Job, bool], None] | None = None
    frames: list[Frame] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)
    poked: list[str] = field(default_factory=list)
    """The accounts that it was told to look at."""
    looked_up: list[tuple[str, str]] = field(default_factory=list)
    """The accounts and numbers of each look-up. A number that ends in 0 is not on WhatsApp."""
    lookups: deque[Answer] = field(default_factory=deque)
    """How the next look-ups are answered: with which status, and what happens before. Without any: as WhatsApp does."""
    passkeys: deque[Answer] = field(default_factory=deque)
    """How the next answers to a passkey's request are answered. Without any: as when WhatsApp takes them."""
    signed: list[tuple[str, str]] = field(default_factory=list)
    """The accounts and the answers."""
    versions: dict[str, set[str | None]] = field(default_factory=lambda: defaultdict(set))
    """The contract versions that the posts of an account have named."""
    _scripts: dict[str, deque[Answer]] = field(default_factory=lambda: defaultdict(deque))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def script(self, key: str, *answers: Answer) -> None:
        self._scripts[key].extend(answers)

    def keys(self, account_id: str) -> list[str]:
        """The ids that left for an account, in order, repeats included."""
        return [frame.key for frame in self.frames if frame.account_id == account_id]

    def posts_of(self, account_id: str) -> list[dict[str, Any]]:
        return [post for post in self.posts if post["accountId"] == account_id]

    def start(self) -> ThreadingHTTPServer:
        """The caller shuts it down."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return server

    def handle_send(self, body: dict[str, Any], version: str | None) -> Answer:
        with self._lock:
            self.posts.append(body)
            self.versions[body["accountId"]].add(version)
            waiting = self._scripts.get(body["waMessageKey"])
            answer = waiting.popleft() if waiting else Answer()
        if answer.before is not None:
            answer.before()
        time.sleep(answer.waits_before_wire_s)
        is_late = datetime.now(UTC) > datetime.fromisoformat(body["notAfter"])
        if answer.reaches_wire and not is_late:
            with self._lock:
                self.frames.append(
                    Frame(
                        account_id=body["accountId"],
                        chat_id=body["chatId"],
                        key=body["waMessageKey"],
                        text=body["text"],
                    )
                )
        if answer.after is not None:
            answer.after()
        if answer.reaches_wire and is_late:
            return Answer(outcome="expired")
        time.sleep(answer.waits_after_wire_s)
        return answer


def _handler(connector: ScriptedConnector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == JOBS_PATH:
                self._run_job(body)
            elif self.path == "/v1/send":
                self._answer(connector.handle_send(body, self.headers.get(contract.HEADER)))
            elif self.path.endswith("/poke"):
                connector.poked.append(self.path.split("/")[-2])
                self._reply(202, b"{}")
            elif self.path.endswith("/is-on-whatsapp"):
                self._look_up(self.path.split("/")[-2], body["phoneE164"])
            elif self.path.endswith("/answer-passkey"):
                connector.signed.append((self.path.split("/")[-2], body["answer"]))
                self._answer(connector.passkeys.popleft() if connector.passkeys else Answer(body="{}"))
            else:
                self._reply(404, b"{}")

        def _look_up(self, account: str, phone: str) -> None:
            connector.looked_up.append((account, phone))
            answer = connector.lookups.popleft() if connector.lookups else Answer()
            if answer.before is not None:
                answer.before()
            is_found = not phone.endswith("0")
            words = {"registered": is_found, "chatId": f"99{phone[1:]}@lid" if is_found else None}
            self._reply(answer.status, json.dumps(words).encode())

        def _run_job(self, body: dict[str, Any]) -> None:
            assert connector.run_job is not None
            connector.run_job(parse_job(body["data"]), self.headers["X-CloudTasks-TaskRetryCount"] != "0")
            self._reply(200, b"{}")

        def _answer(self, answer: Answer) -> None:
            if answer.breaks:
                self.close_connection = True
                return
            words = {"outcome": answer.outcome, "reason": answer.reason}
            self._reply(answer.status, (answer.body if answer.body is not None else json.dumps(words)).encode())

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a killed or impatient caller is gone
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the base class gives
            """Nothing: the record is `posts`."""

    return Handler
