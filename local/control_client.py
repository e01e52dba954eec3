"""Calls a stand-in's control API. Blocking."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

_TIMEOUT_S = 10.0


class ControlRefused(Exception):
    """The call was refused. 400: malformed; 404: it names nothing that is there; 409: not possible in this state."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class ControlClient:
    def __init__(self, control_port: int) -> None:
        self._base = f"http://127.0.0.1:{control_port}"

    def get(self, path: str, **query: str | None) -> list[dict[str, Any]]:
        """The rows that a GET answers; None is left out of the query."""
        given = {name: value for name, value in query.items() if value is not None}
        rows: list[dict[str, Any]] = self._call(f"{path}?{urllib.parse.urlencode(given)}", None)
        return rows

    def post(self, path: str, **fields: object) -> dict[str, Any]:
        answer: dict[str, Any] = self._call(path, json.dumps(fields).encode())
        return answer

    def _call(self, path: str, body: bytes | None) -> Any:
        request = urllib.request.Request(self._base + path, data=body, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                answer = error.read().decode()
            raise ControlRefused(error.code, answer) from error
