"""`thread`: the newest messages of a chat, and on request each new one and each change of delivery."""

import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector import queries
from connector.admin.context import Context, Stored
from connector.admin.endings import NotFound
from connector.admin.merged import merged_thread, names_of
from connector.admin.screen import cut, width_of
from connector.admin.times import clock
from core.ids import ThreadId

_LOOK_S = 1.0
_WHO_WIDTH = 22
_DELIVERY_WIDTH = 9


def show(context: Context, arguments: Namespace) -> None:
    thread: ThreadId = arguments.thread
    found = merged_thread(context, thread)
    if found is None:
        raise NotFound(f"there is no such thread in project {context.project}")
    tail = _Tail(context=context, threads=names_of(found, thread), count=arguments.count, with_text=arguments.text)
    if arguments.follow:
        _head(context, found.document)
        while True:
            tail.show(on_one_line=True)
            time.sleep(_LOOK_S)
    elif context.screen.as_json:
        context.screen.data([_data(each, with_text=arguments.text) for each in tail.newest()])
    else:
        _head(context, found.document)
        tail.show(on_one_line=True)
        if not tail.shown:
            context.screen.say("No message stands in it.")


@dataclass(kw_only=True)
class _Tail:
    context: Context
    threads: Sequence[ThreadId]
    count: int
    with_text: bool
    shown: dict[str, object] = field(default_factory=dict)
    """The delivery that each message was shown with."""

    def newest(self) -> list[Stored]:
        """The oldest of them first."""
        return self.context.find(queries.newest_messages(self.context.db, self.threads, self.count))[::-1]

    def show(self, *, on_one_line: bool) -> None:
        """What was not shown so."""
        for message in self.newest():
            delivery = message.document.get("delivery")
            if message.id in self.shown and self.shown[message.id] == delivery:
                continue
            self.shown[message.id] = delivery
            if self.context.screen.as_json:
                self.context.screen.data(_data(message, with_text=self.with_text), on_one_line=on_one_line)
            else:
                self.context.screen.say_folded(_line(message.document, with_text=self.with_text))


def _head(context: Context, thread: Mapping[str, Any]) -> None:
    if context.screen.as_json:
        return
    parts = [
        str(thread.get("clientDisplayName") or "no name"),
        str(thread.get("clientPhoneE164") or "no number known"),
        f"{thread.get('unreadCountGlobal') or 0} unread",
        f"owner {thread['ownerEmail']}" if thread.get("ownerEmail") else "no owner",
    ]
    if thread.get("locked"):
        parts.append(f"locked ({thread.get('lockedReason') or 'no reason given'})")
    context.screen.say_folded(", ".join(parts))
    context.screen.say()


def _line(message: Mapping[str, Any], *, with_text: bool) -> str:
    who = cut(_who(message), _WHO_WIDTH)
    delivery = str(message.get("delivery") or "")
    line = f"{clock(message.get('timestamp'))}  {message.get('direction') or '?':<3}  {who}{' ' * (_WHO_WIDTH - width_of(who))}"
    line += f"  {delivery:<{_DELIVERY_WIDTH}}"
    if message.get("error"):
        line += f"  [{message['error']}]"
    return f"{line}  {message.get('text') or ''}" if with_text else line


def _who(message: Mapping[str, Any]) -> str:
    if message.get("direction") == "in":
        return str(message.get("senderName") or "contact")
    return str(message.get("senderEmail") or message.get("senderUid") or "the phone")


def _data(message: Stored, *, with_text: bool) -> dict[str, Any]:
    names = ["waMessageId", "timestamp", "direction", "delivery", "error", "senderName", "senderEmail", "requestId"]
    return {name: message.document.get(name) for name in (*names, "text") if with_text or name != "text"}
