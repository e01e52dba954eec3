"""The versions of WhatsApp Web: which one the page at https://web.whatsapp.com/ names, and which ones may log in."""

from dataclasses import dataclass, field

BUILT_IN = 1047769893
"""The revision that the pinned whatsmeow names by itself (store/clientpayload.go)."""


@dataclass(kw_only=True)
class Versions:
    newest: int | None = BUILT_IN
    """The third number of the version that the page names. None: the page is down."""
    oldest: int = 0
    """A client with a lower one is refused with 405."""
    fetches: int = 0
    """How often the page was asked for."""
    seen: list[int] = field(default_factory=list)
    """What clients named, in their order."""

    def page(self) -> bytes | None:
        self.fetches += 1
        if self.newest is None:
            return None
        return f'<html><script>{{"server_revision":1,"client_revision":{self.newest},"x":1}}</script></html>'.encode()

    def lets_in(self, revision: int) -> bool:
        self.seen.append(revision)
        return revision >= self.oldest
