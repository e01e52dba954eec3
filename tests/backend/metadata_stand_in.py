"""Stands in for Google's metadata server: gives access tokens, and counts the requests."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_SERVICE_ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default"
_EMAIL = "threadline-functions@demo-threadline.iam.gserviceaccount.com"
_ANSWERS = {
    "/": "computeMetadata/",
    "/computeMetadata/v1/project/project-id": "demo-threadline",
    "/computeMetadata/v1/universe/universe-domain": "googleapis.com",
    f"{_SERVICE_ACCOUNT}/": json.dumps({"email": _EMAIL, "aliases": ["default"], "scopes": []}),
    f"{_SERVICE_ACCOUNT}/token": json.dumps({"access_token": "an-access-token", "expires_in": 3600}),
}


@dataclass
class MetadataServer:
    address: str = ""
    asked: list[str] = field(default_factory=list)
    """The path of each call, without its query."""


@contextmanager
def metadata_server() -> Iterator[MetadataServer]:
    made = MetadataServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            made.asked.append(path)
            body = _ANSWERS.get(path, "")
            self.send_response(200 if body else 404)
            self.send_header("Metadata-Flavor", "Google")
            self.send_header("Content-Type", "application/json" if body.startswith("{") else "application/text")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the base class gives
            """Nothing: the record is `asked`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    made.address = f"127.0.0.1:{server.server_address[1]}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
