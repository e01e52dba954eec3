"""Carries a plan out: looks what exists, makes what is missing, and waits where Google needs time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.command import Answer, Command, CommandFailed, Tools
from deploy.step import Item, Lookup, Refused, Step
from deploy.waits import wait_for

Say = Callable[[str], None]


class StepFailed(Exception):
    """A step failed. `lines` say which, why, and what to do."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(lines[0])
        self.lines = lines


@dataclass(frozen=True, kw_only=True)
class Execution:
    tools: Tools
    say: Say
    pause_s: float
    """The pause between two attempts of a command that Google is not ready for."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def run(self, steps: Sequence[Step], *, total: int, start: int = 1) -> None:
        """Each step is safe to run again; `start` is the first one's number of `total`. Raises StepFailed."""
        for number, step in enumerate(steps, start=start):
            self.say(f"[{number}/{total}] {step.name}")
            answers = _Answers(self)
            for item in step.items:
                self._run_item(f"step {number} of {total}, {step.name}", step, item, answers)

    def _run_item(self, place: str, step: Step, item: Item, answers: "_Answers") -> None:
        try:
            self._make(step, item, answers)
        except Refused as refusal:
            raise StepFailed(_refused(place, str(refusal))) from refusal
        except CommandFailed as failure:
            raise StepFailed(_failed(place, step, item, failure)) from failure
        except (OSError, ValueError, KeyError) as error:
            raise StepFailed(_unread(place, step, item, error)) from error

    def _make(self, step: Step, item: Item, answers: "_Answers") -> None:
        if item.look is not None:
            found = answers.of(item.look)
            objection = item.objection(found)
            if objection is not None:
                raise Refused(objection)
            if item.is_done(found):
                self.say(f"    ok       {item.name}")
                return
        texts = [(file.path, file.text(self.tools.read(file.path))) for file in item.files]
        for path, text in texts:
            if self.tools.read(path) != text:
                self.say(f"    write    {path}")
                self.tools.write(path, text)
        self.say(f"    change   {item.name}" + (f" (takes {step.takes})" if step.takes else ""))
        for command in item.commands:
            answer = self.patient(command)
            if command.prints:
                self.say(f"{answer.out}{answer.errors}".rstrip())
        answers.forget(item.look)

    def patient(self, command: Command) -> Answer:
        """Runs a command, and repeats it while Google needs time. Raises CommandFailed."""
        self.say(f"             $ {command.shown()}")
        began = self.clock()
        while True:
            try:
                return self.tools.run(command)
            except CommandFailed as failure:
                wait = wait_for(failure.answer.errors)
                if wait is None or self.clock() - began + self.pause_s > wait.limit_s:
                    raise
                self.say(
                    f"             waiting: {wait.reason}; next attempt in {self.pause_s:.0f} s, for {wait.limit_s:.0f} s at most"
                )
                self.sleep(self.pause_s)


@dataclass(kw_only=False)
class _Answers:
    """The answers of this step's look-ups. Items with the same look-up share its answer, until an item changes something."""

    execution: Execution
    _found: dict[str, Any] = field(default_factory=dict)

    def of(self, look: Command | Lookup) -> Any:
        key = look.shown()
        if key not in self._found:
            self._found[key] = self._ask(look)
        return self._found[key]

    def _ask(self, look: Command | Lookup) -> Any:
        if isinstance(look, Lookup):
            return look.ask(self.execution.tools)
        return self.execution.patient(look).value()

    def forget(self, look: Command | Lookup | None) -> None:
        if look is not None:
            self._found.pop(look.shown(), None)


_MOST_LINES = 20
_AGAIN = "What is done stays. Run the same command again: it goes on from here."


def _refused(place: str, why: str) -> list[str]:
    return [f"Stopped in {place}: {why}"]


def _failed(place: str, step: Step, item: Item, failure: CommandFailed) -> list[str]:
    most = _MOST_LINES if not failure.command.prints else None
    said = [f"  | {line}" for line in failure.answer.errors.strip().splitlines()[-most if most else 0 :]]
    return [f"Failed in {place}: {item.name}", f"  $ {failure.command.shown()}", *said, *_advice(step), _AGAIN]


def _unread(place: str, step: Step, item: Item, error: Exception) -> list[str]:
    """Does not quote the error, which may contain a part of an answer."""
    what = f"{type(error).__name__}" + (f", {error.strerror}" if isinstance(error, OSError) and error.strerror else "")
    return [
        f"Failed in {place}: {item.name}",
        f"  | an answer or a file could not be read ({what})",
        *_advice(step),
        _AGAIN,
    ]


def _advice(step: Step) -> list[str]:
    return [f"What to do: {step.advice}"] if step.advice else []
