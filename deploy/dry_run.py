"""Prints a plan: every step, every look-up and every command. Runs nothing and writes nothing."""

from collections.abc import Iterator, Sequence

from deploy.command import Command
from deploy.step import File, Item, Step


def printed(steps: Sequence[Step]) -> Iterator[str]:
    """The lines to print, without line ends."""
    for number, step in enumerate(steps, start=1):
        yield f"[{number}/{len(steps)}] {step.name}: {step.why}"
        if step.takes:
            yield f"    takes {step.takes}"
        looked: object = None
        for item in step.items:
            yield f"  - {item.name}"
            if item.look is not None and item.look != looked:
                yield f"      look: {item.look.shown()}"
            looked = item.look or looked
            yield from _actions(item)


def _actions(item: Item) -> Iterator[str]:
    for file in item.files:
        yield from _file(file)
    for command in item.commands:
        yield f"      {_when(item)}: {command.shown()}"


def _when(item: Item) -> str:
    return "run if needed" if item.look is not None else "run"


def _file(file: File) -> Iterator[str]:
    yield f"      write: {file.path}"
    if file.is_shown:
        for line in file.text(None).splitlines():
            yield f"        {line}"


def commands(steps: Sequence[Step]) -> Iterator[Command]:
    """Every command line of the plan, looks included."""
    for step in steps:
        for item in step.items:
            if isinstance(item.look, Command):
                yield item.look
            yield from item.commands
