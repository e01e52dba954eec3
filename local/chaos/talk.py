"""People who converse while something is measured."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from local.faults.cast import Inbound, Request
from local.faults.stage import Stage

Message = Request | Inbound


@dataclass(kw_only=True)
class Talk:
    """A thread for each line writes its messages until `end`; then each thread writes the rest at once."""

    stage: Stage
    lines: Sequence[Sequence[Message]]
    pause_s: float
    """Between two messages of a line."""
    written_at: dict[Message, float] = field(default_factory=dict, init=False)
    """When the writing of each message began, in seconds since 1970. Only messages that were written before the end."""
    _ended: threading.Event = field(default_factory=threading.Event, init=False)
    _speakers: list[threading.Thread] = field(default_factory=list, init=False)
    _problems: list[Exception] = field(default_factory=list, init=False)

    def begin(self) -> None:
        for line in self.lines:
            speaker = threading.Thread(target=self._speak, args=(line,))
            speaker.start()
            self._speakers.append(speaker)

    def end(self) -> None:
        """Raises what went wrong in writing."""
        self._ended.set()
        for speaker in self._speakers:
            speaker.join()
        if self._problems:
            raise self._problems[0]

    def _speak(self, messages: Sequence[Message]) -> None:
        try:
            for message in messages:
                if not self._ended.is_set():
                    self.written_at[message] = time.time()
                self.stage.write_one(message)
                self._ended.wait(self.pause_s)
        except Exception as problem:  # noqa: BLE001 - a thread's edge: `end` raises it
            self._problems.append(problem)
