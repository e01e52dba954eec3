"""The QR code of private/state, a PNG in a data: URL, as lines for a terminal."""

import base64
import binascii
import zlib
from collections.abc import Iterator, Sequence

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FINDER_MODULES = 7
_QUIET_ZONE = 2
"""Modules around the drawing: fewer than the standard's four, enough on a screen."""
_LIGHT_ON_DARK, _PLAIN = "\033[97;40m", "\033[0m"
_HALVES = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
"""By whether the upper and the lower module are light."""

Modules = Sequence[Sequence[bool]]


class NotDrawable(Exception):
    """Not a picture as connector/pairing.py makes it."""


def drawn(data_url: str, *, coloured: bool) -> list[str]:
    """Two rows of modules a line. In colours of its own on a terminal: dark on light whatever its theme is. Raises NotDrawable."""
    rows = [[not dark for dark in row] for row in modules(data_url)]
    edge = [True] * (len(rows[0]) + 2 * _QUIET_ZONE)
    framed = [[True] * _QUIET_ZONE + row + [True] * _QUIET_ZONE for row in rows]
    framed = [edge] * _QUIET_ZONE + framed + [edge] * _QUIET_ZONE
    framed += [edge] * (len(framed) % 2)
    lines = [
        "".join(_HALVES[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(framed[::2], framed[1::2], strict=True)
    ]
    return [f"{_LIGHT_ON_DARK}{line}{_PLAIN}" if coloured else line for line in lines]


def modules(data_url: str) -> Modules:
    """Row by row, true for dark, without the quiet zone. Raises NotDrawable."""
    try:
        picture = base64.b64decode(data_url.partition(",")[2], validate=True)
        pixels = _pixels(picture)
        corner = next(place for place, row in enumerate(pixels) if row[place])
        run = next(place for place, dark in enumerate(pixels[corner][corner:]) if not dark)
        size = run / _FINDER_MODULES  # the first row begins with a finder pattern's edge
        count = round((len(pixels) - 2 * corner) / size)
        places = [int(corner + (place + 0.5) * size) for place in range(count)]
        return [[pixels[y][x] for x in places] for y in places]
    except (binascii.Error, zlib.error, IndexError, StopIteration, ValueError) as error:
        raise NotDrawable from error


def _pixels(picture: bytes) -> list[list[bool]]:
    """Of a PNG of one bit a pixel, black and white, true for black. Raises ValueError and zlib.error."""
    chunks = list(_chunks(picture))
    header = next(content for kind, content in chunks if kind == b"IHDR")
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    if header[8:13] != bytes((1, 0, 0, 0, 0)):
        raise ValueError("not black and white")
    raw = zlib.decompress(b"".join(content for kind, content in chunks if kind == b"IDAT"))
    length = 1 + (width + 7) // 8
    rows: list[bytes] = []
    for start in range(0, height * length, length):
        rows.append(_unfiltered(raw[start], raw[start + 1 : start + length], rows[-1] if rows else bytes(length - 1)))
    return [[not row[x // 8] >> (7 - x % 8) & 1 for x in range(width)] for row in rows]


def _unfiltered(kind: int, row: bytes, above: bytes) -> bytes:
    """The two of PNG's five that a QR code's rows are written with: as it is, and by its difference from the row above."""
    if kind == 0:
        return row
    if kind == 2:
        return bytes((own + upper) % 256 for own, upper in zip(row, above, strict=True))
    raise ValueError("a filter that no QR code needs")


def _chunks(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not picture.startswith(_SIGNATURE):
        raise ValueError("no PNG")
    place = len(_SIGNATURE)
    while place + 8 <= len(picture):
        length = int.from_bytes(picture[place : place + 4], "big")
        yield picture[place + 4 : place + 8], picture[place + 8 : place + 8 + length]
        place += length + 12
