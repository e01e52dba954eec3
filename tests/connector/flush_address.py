"""Stands where the functions' flush is: records who asked for which account (a diagnosis asks for none), and answers as it is told."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from identity.headers import RequestHeaders
from identity.tokens import TokenVerifier


class FlushAddress:
    """Serves on a thread. `refusals` counts how many of the next calls are answered 503."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/flush"
        self.flushed: list[str] = []
        self.calls: list[RequestHeaders] = []
        self.refusals = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def check_callers(self, verifier: TokenVerifier) -> None:
        """Raises unless every call carried a good token."""
        for headers in self.calls:
            verifier.check(headers)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        address = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                address.calls.append(self.headers)
                refused = address.refusals > 0
                if refused:
                    address.refusals -= 1
                elif "accountId" in body:
                    address.flushed.append(body["accountId"])
                answer = b"{}" if refused else b'{"threads": 1}'
                self.send_response(503 if refused else 200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                return

        return Handler
