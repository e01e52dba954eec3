"""Reads a command line of gcloud as gcloud does, by the recorded commands and flags."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.deploy.fake_cloud.cloud import Refusal

_RECORD = Path(__file__).with_name("gcloud_commands.json")


@dataclass(frozen=True, kw_only=True)
class Line:
    command: str
    """Such as `run services list`."""
    positional: list[str]
    flags: dict[str, str]
    """Without their dashes; a switch has an empty value."""

    def need(self, flag: str) -> str:
        if flag not in self.flags:
            raise Refusal(f"argument --{flag}: Must be specified.")
        return self.flags[flag]

    @property
    def name(self) -> str:
        if len(self.positional) != 1:
            raise Refusal(f"{self.command}: one name is needed, not {self.positional}")
        return self.positional[0]


@cache
def known() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_RECORD.read_text())
    return found


def parse(arguments: Sequence[str]) -> Line:
    """`arguments` without the program. Raises Refusal."""
    words = [word for word in arguments if not word.startswith("--")]
    command = _command(words)
    allowed = {**known()[""], **known()[command]}
    flags = {}
    for argument in arguments:
        if argument.startswith("--"):
            name, has_value, value = argument.partition("=")
            _check(command, name, value if has_value else None, allowed)
            flags[name.removeprefix("--")] = value
    return Line(command=command, positional=words[len(command.split()) :], flags=flags)


def _command(words: list[str]) -> str:
    for length in range(len(words), 0, -1):
        if (command := " ".join(words[:length])) in known():
            return command
    raise Refusal(f"Invalid choice: {' '.join(words)!r}: gcloud has no such command, or it is not recorded")


def _check(command: str, name: str, value: str | None, allowed: dict[str, Any]) -> None:
    if name not in allowed:
        raise Refusal(f"(gcloud.{command.replace(' ', '.')}) unrecognized arguments: {name}")
    kind = allowed[name]
    if kind == "bool":
        if value is not None:
            raise Refusal(f"argument {name}: ignored explicit argument")
    elif value is None:
        raise Refusal(f"argument {name}: expected one argument")
    elif isinstance(kind, list) and value.lower() not in {each.lower() for each in kind}:
        raise Refusal(f"argument {name}: Invalid choice: {value!r}")
