"""Message text as both sides count and shorten it."""

MAX_TEXT_UTF16_UNITS = 4096
PREVIEW_CHARACTERS = 100


def utf16_units(text: str) -> int:
    """The length that the security rules, JavaScript, Kotlin and Swift's utf16 view see: one emoji is two units or more."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def preview(text: str) -> str:
    """The text on one line, at most 100 characters."""
    line = " ".join(text.split())
    return line if len(line) <= PREVIEW_CHARACTERS else line[: PREVIEW_CHARACTERS - 1] + "…"
