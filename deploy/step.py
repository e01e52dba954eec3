"""The parts of a plan: a step has items, and an item is one thing that must exist."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.command import Command, Tools


class Refused(Exception):
    """The deploy must not go on: it would harm something, or a person must decide. The message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """A look-up that is not a command. Its answer is a plain value."""

    description: str
    ask: Callable[[Tools], Any] = field(repr=False)

    def shown(self) -> str:
        return self.description


@dataclass(frozen=True, kw_only=True)
class File:
    """A file that must hold a text."""

    path: Path
    text: Callable[[str | None], str]
    """The new text, from the current one (None if there is none). Raises Refused."""
    is_shown: bool = False
    """Whether a dry run prints the text."""


def _never(_answer: Any) -> bool:
    return False


def _no_objection(_answer: Any) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that must exist: how to look whether it exists, and the commands that create it."""

    name: str
    look: Command | Lookup | None = None
    """Changes nothing. A command's answer is the JSON that it prints."""
    is_done: Callable[[Any], bool] = _never
    objection: Callable[[Any], str | None] = _no_objection
    """Why the deploy must not go on, from the answer of `look`."""
    files: tuple[File, ...] = ()
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Step:
    name: str
    why: str
    items: tuple[Item, ...]
    takes: str = ""
    """How long the step takes, if that is minutes."""
    advice: str = ""
    """What the operator should look at if the step fails."""
