"""The functions' outer edge: what a handler raises is logged without its words, since libraries' errors quote documents' paths."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from firebase_functions.https_fn import HttpsError

from backend import log

Answer = TypeVar("Answer")


class FunctionFailed(Exception):
    """A function could not do its work; the log has where and why. Stands in the place of the error itself."""


def contained(handler: Callable[[Any], Answer]) -> Callable[[Any], Answer]:
    """Wraps a handler, under its decorator. What it refuses (HttpsError) passes; whatever else it raises becomes
    FunctionFailed, which the frameworks may log and answer, and retry."""

    @functools.wraps(handler)
    def handle(event: Any) -> Answer:
        try:
            return handler(event)
        except HttpsError:
            raise
        except Exception as error:  # noqa: BLE001 - the process edge
            log.function_failed(handler.__name__)
            failed = FunctionFailed(f"{handler.__name__} failed with {type(error).__qualname__}; the log has where")
        raise failed

    return handle
