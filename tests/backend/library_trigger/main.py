"""A trigger as firebase-functions makes it, which does nothing with its event."""

from typing import Any

from firebase_functions import firestore_fn


@firestore_fn.on_document_written(document="things/{thing}")
def onThing(event: firestore_fn.Event[Any]) -> None:  # noqa: N802 - as the names of deployed functions are written
    print("took an event", flush=True)  # noqa: T201 - what the test looks for
