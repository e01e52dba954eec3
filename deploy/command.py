"""A command of `gcloud`, `firebase` or this project's own tools, its answer, and the interface that runs commands."""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Program = str
GCLOUD: Program = "gcloud"
FIREBASE: Program = "local/firebase_tools/node_modules/.bin/firebase"
PYTHON: Program = ".venv/bin/python"


class CommandFailed(Exception):
    """A command ended with a status that means failure."""

    def __init__(self, command: "Command", answer: "Answer") -> None:
        super().__init__(f"{command.shown()} ended with status {answer.status}")
        self.command = command
        self.answer = answer


@dataclass(frozen=True, kw_only=True)
class SecretInput:
    """A secret that a command reads from standard input. It is made when the command runs."""

    description: str
    produce: Callable[["Tools"], str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Command:
    arguments: tuple[str, ...]
    """The program, then its arguments. Never a secret: every user of the machine can read a command line."""
    input: SecretInput | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    empty_if: str = ""
    """A pattern of error output that means "nothing exists yet", such as for an API that was never enabled."""
    is_answer_secret: bool = False
    accepts: tuple[int, ...] = (0,)
    """Statuses that do not mean failure."""
    prints: bool = False
    """Whether the operator sees the command's output."""

    def shown(self) -> str:
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        source = f" < {self.input.description}" if self.input else ""
        return " ".join([*variables, shlex.join(self.arguments)]) + source


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    out: str = field(repr=False)
    errors: str = field(repr=False)

    def value(self) -> Any:
        """The JSON on standard output. Raises ValueError."""
        return json.loads(self.out or "[]")


class Tools(Protocol):
    """What steps use outside this process: commands, files and the released rules. Tests have another implementation."""

    def run(self, command: Command) -> Answer:
        """Raises CommandFailed."""

    def rules(self, project: str, database: str) -> str | None:
        """The security rules that are released for the database, or None. Raises CommandFailed and OSError."""

    def read(self, path: Path) -> str | None:
        """A file's text, or None if the file does not exist."""

    def write(self, path: Path, text: str) -> None: ...


def gcloud(*words: str, project: str, options: Mapping[str, str | None] | None = None, **more: Any) -> Command:
    """`gcloud WORDS --OPTION=VALUE ... --project=PROJECT --format=json --quiet`; an option without a value is a switch."""
    named = [f"--{name}" if value is None else f"--{name}={value}" for name, value in (options or {}).items()]
    return Command(
        arguments=(GCLOUD, *words, *named, f"--project={project}", "--format=json", "--quiet"),
        **more,
    )
