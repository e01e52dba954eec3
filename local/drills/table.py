"""The table of a run, as Markdown, and the screens behind it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from local.drills.command_line import Screen
from local.drills.drill import Line

_TITLES = ("cause", "what was done", "the account then", "after", "alert", "after", "ended by", "over after")


def table(lines: Sequence[Line]) -> str:
    return "\n".join(_rows(lines))


def _rows(lines: Sequence[Line]) -> Iterator[str]:
    yield _row(_TITLES)
    yield _row(["---"] * len(_TITLES))
    for line in lines:
        yield _row(
            [
                line.drill.cause,
                line.done,
                line.account,
                _seconds(line.shown_after_s),
                line.alert or "none",
                _seconds(line.alert_after_s),
                line.ended_by,
                _seconds(line.over_after_s),
            ]
        )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def screens(shown: Sequence[Screen]) -> str:
    return "\n".join(f"### {each.drill}\n\n{each.title}\n{each.text}" for each in shown)


def write_screens(shown: Sequence[Screen], folder: Path) -> None:
    """A file a drill."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys(each.drill for each in shown):
        (folder / f"{name}.txt").write_text(screens([each for each in shown if each.drill == name]))
