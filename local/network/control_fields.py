"""The fields of a control call, checked one by one: a wrong one is named in the refusal."""

import json
import math
from enum import StrEnum
from typing import TypeVar

from aiohttp import web

from local.network.engine import PHONE_E164
from local.network.refusals import Malformed

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
        if value is not None and not PHONE_E164.fullmatch(value):
            raise Malformed(f"{name} must be a phone number: '+' and 7 to 15 digits")
        return value

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


async def values_of(request: web.Request) -> dict[str, object]:
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
