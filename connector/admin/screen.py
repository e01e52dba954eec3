"""What a command shows: lines and tables for people, or the same data as JSON; nothing that a contact wrote can steer the terminal."""

import json
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

WIDTH = 100
"""Columns that fit a terminal beside something else."""
_GAP = "  "
_LEAST_WIDTH = 6
_INDENT = "    "
_STEERING = {"Cc", "Cs", "Zl", "Zp"}
_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, kw_only=True)
class Column:
    title: str
    shrinks: bool = False
    """Cut where the table would be too wide; what a person types again must not be."""
    to_right: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    cells: Sequence[str]
    notes: Sequence[str] = ()
    """Sentences under the row, each on lines of its own."""
    to_copy: Sequence[str] = ()
    """What a person copies: under the row, on one line each, however long."""


@dataclass(frozen=True, kw_only=True)
class Screen:
    out: TextIO
    errors: TextIO
    as_json: bool

    @property
    def is_terminal(self) -> bool:
        return self.out.isatty()

    def say(self, line: str = "") -> None:
        self.out.write(f"{harmless(line)}\n")
        self.out.flush()

    def say_folded(self, text: str, indent: str = "") -> None:
        for line in _folded(text, indent):
            self.say(line)

    def draw(self, lines: Sequence[str]) -> None:
        """Lines of our own making, with their colours."""
        self.out.write("".join(f"{line}\n" for line in lines))
        self.out.flush()

    def table(self, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        for line in table_lines(columns, rows):
            self.say(line)

    def data(self, value: object, *, on_one_line: bool = False) -> None:
        """As JSON; times in RFC 3339."""
        text = json.dumps(value, indent=None if on_one_line else 2, default=_json_value, ensure_ascii=True)
        self.out.write(f"{text}\n")
        self.out.flush()

    def complain(self, text: str) -> None:
        self.errors.write(f"{harmless(text)}\n")
        self.errors.flush()


def table_lines(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """At most WIDTH wide, unless what must not be cut needs more."""
    cells = [[harmless(cell) for cell in row.cells] for row in rows]
    titles = [column.title for column in columns]
    widths = [max(width_of(line[place]) for line in [titles, *cells]) for place in range(len(columns))]
    _shrink(widths, columns)
    lines = [_line(titles, widths, columns)]
    for row, line in zip(rows, cells, strict=True):
        lines.append(_line(line, widths, columns))
        for note in row.notes:
            lines += _folded(harmless(note), _INDENT)
        lines += [f"{_INDENT}{harmless(whole)}" for whole in row.to_copy if whole]
    return lines


def harmless(text: str) -> str:
    """Without what a terminal obeys: control characters, line ends, and what turns the writing's direction."""
    return "".join("�" if unicodedata.category(sign) in _STEERING or sign in _BIDIRECTIONAL else sign for sign in text)


def width_of(text: str) -> int:
    """In a terminal's columns."""
    return sum(_columns(sign) for sign in text)


def cut(text: str, width: int) -> str:
    if width_of(text) <= width:
        return text
    kept, used = "", 0
    for sign in text:
        used += _columns(sign)
        if used > width - 1:
            break
        kept += sign
    return f"{kept}…"


def _columns(sign: str) -> int:
    if unicodedata.combining(sign) or unicodedata.category(sign) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def _shrink(widths: list[int], columns: Sequence[Column]) -> None:
    """Takes what is too much from the widest that may shrink."""
    places = [place for place, column in enumerate(columns) if column.shrinks]
    while sum(widths) + len(_GAP) * (len(widths) - 1) > WIDTH and places:
        widest = max(places, key=lambda place: widths[place])
        if widths[widest] <= _LEAST_WIDTH:
            return
        widths[widest] -= 1


def _line(cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    parts = []
    for cell, width, column in zip(cells, widths, columns, strict=True):
        shown = cut(cell, width) if column.shrinks else cell
        space = " " * (width - width_of(shown))
        parts.append(space + shown if column.to_right else shown + space)
    return _GAP.join(parts).rstrip()


def _folded(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _json_value(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def pairs(fields: Mapping[str, str]) -> list[str]:
    """Names and values, one below the other."""
    width = max(width_of(name) for name in fields)
    return [f"{name}{' ' * (width - width_of(name))}  {value}" for name, value in fields.items()]
