"""The part of the Firebase Rules API that a deploy reads: releases and rulesets."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.deploy.fake_cloud.cloud import Cloud


@contextmanager
def serve(cloud: Callable[[], Cloud]) -> Iterator[str]:
    """The server's address; `cloud` gives the present state."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, answer = _answer(cloud(), self.path.removeprefix("/v1/"), self.headers.get("Authorization", ""))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None: ...  # noqa: A002 - the library's name

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(cloud: Cloud, name: str, authorization: str) -> tuple[int, object]:
    if not authorization.startswith("Bearer ya29."):
        return 401, {"error": {"status": "UNAUTHENTICATED"}}
    if "firebaserules.googleapis.com" not in cloud.state["apis"]:
        return 403, {"error": {"status": "PERMISSION_DENIED", "details": [{"reason": "SERVICE_DISABLED"}]}}
    place = f"projects/{cloud.project}/"
    if name.startswith(f"{place}rulesets/"):
        database = name.removeprefix(f"{place}rulesets/")
        return 200, {"source": {"files": [{"name": "firestore.rules", "content": cloud.state["rules"][database]}]}}
    database = name.removeprefix(f"{place}releases/cloud.firestore").removeprefix("/") or "(default)"
    if database not in cloud.state["rules"]:
        return 404, {"error": {"status": "NOT_FOUND"}}
    return 200, {"name": name, "rulesetName": f"{place}rulesets/{database}"}
