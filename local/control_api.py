"""What the control APIs of the stand-ins share: JSON in and out, fields checked one by one, refusals that name the field."""

import inspect
import json
import math
from collections.abc import Awaitable, Callable
from enum import StrEnum
from http import HTTPStatus
from typing import TypeVar

from aiohttp import web

from core.ids import InvalidId, phone_e164
from local.refusals import Malformed, NotPossible, Refused, Unknown

_STATUS: dict[type[Refused], HTTPStatus] = {
    Malformed: HTTPStatus.BAD_REQUEST,
    Unknown: HTTPStatus.NOT_FOUND,
    NotPossible: HTTPStatus.CONFLICT,
}

_MAX_BODY_BYTES = 8 * 1024 * 1024
"""Above what a Firestore document holds: tests write messages that are too large for one."""

Choice = TypeVar("Choice", bound=StrEnum)
T = TypeVar("T")


class Fields:
    """Every method raises Malformed with the field's name when it does not hold what it must. null is the same as absent."""

    def __init__(self, values: dict[str, object], allowed: frozenset[str]) -> None:
        unknown = values.keys() - allowed
        if unknown:
            raise Malformed(f"unknown fields: {', '.join(sorted(unknown))}; there are: {', '.join(sorted(allowed))}")
        self._values = values

    def optional_text(self, name: str) -> str | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            raise Malformed(f"{name} must be a string that is not empty")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Malformed(f"{name} must be valid Unicode") from error
        return value

    def text(self, name: str) -> str:
        return self._given(name, self.optional_text(name))

    def text_or(self, name: str, default: str) -> str:
        return self.optional_text(name) or default

    def optional_phone(self, name: str) -> str | None:
        value = self.optional_text(name)
        try:
            return None if value is None else phone_e164(value)
        except InvalidId as error:
            raise Malformed(f"{name}: {error}") from error

    def phone(self, name: str) -> str:
        return self._given(name, self.optional_phone(name))

    def optional_texts(self, name: str) -> list[str] | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
            raise Malformed(f"{name} must be a list of strings that are not empty")
        return value

    def texts(self, name: str) -> list[str]:
        return self._given(name, self.optional_texts(name))

    def flag(self, name: str, *, default: bool) -> bool:
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise Malformed(f"{name} must be true or false")
        return value

    def seconds(self, name: str) -> float | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
            raise Malformed(f"{name} must be a number of seconds, 0 or more")
        return float(value)

    def optional_count(self, name: str) -> int | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise Malformed(f"{name} must be a whole number from 1")
        return value

    def optional_choice(self, name: str, choices: type[Choice]) -> Choice | None:
        value = self.optional_text(name)
        if value is None:
            return None
        if value not in list(choices):
            raise Malformed(f"{name} must be one of {', '.join(choices)}")
        return choices(value)

    def choice(self, name: str, choices: type[Choice]) -> Choice:
        return self._given(name, self.optional_choice(name, choices))

    @staticmethod
    def _given(name: str, value: T | None) -> T:
        if value is None:
            raise Malformed(f"{name} must be given")
        return value


Json = dict[str, object] | list[dict[str, object]]
Handler = Callable[[Fields], Json | Awaitable[Json]]


def control_application(calls: list[tuple[str, str, Handler, str]]) -> web.Application:
    """Serves calls: method, path, what answers it, and the names of the fields that it takes, separated by spaces."""
    application = web.Application(client_max_size=_MAX_BODY_BYTES)
    for method, path, handler, allowed in calls:
        application.router.add_route(method, path, _served(handler, frozenset(allowed.split())))
    return application


def _served(handler: Handler, allowed: frozenset[str]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        try:
            answer = handler(Fields(await _values_of(request), allowed))
            if inspect.isawaitable(answer):
                answer = await answer
        except Refused as refusal:
            return web.json_response({"error": str(refusal)}, status=_STATUS[type(refusal)])
        return web.json_response(answer)

    return serve


async def _values_of(request: web.Request) -> dict[str, object]:
    """A GET's query, or a POST's JSON object (nothing: no fields)."""
    if request.method == "GET":
        return dict(request.query)
    body = await request.read()
    try:
        values = json.loads(body) if body else {}
    except ValueError as error:
        raise Malformed("the body must be JSON") from error
    if not isinstance(values, dict):
        raise Malformed("the body must be a JSON object")
    return values
