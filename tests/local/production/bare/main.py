"""A trigger and a task that leave a document for each call."""

import os
import time
from typing import Any

from firebase_functions import firestore_fn, https_fn, options, tasks_fn
from google.cloud import firestore

options.set_global_options(region="europe-west1", concurrency=3)

WORK_S = 0.2


def _tell(name: str) -> None:
    time.sleep(WORK_S)
    fields = {"of": name, "threads": os.environ["THREADS"], "at": time.time()}
    firestore.Client().collection("calls").add(fields)


@firestore_fn.on_document_created(document="things/{thing}", timeout_sec=9)
def on_thing(event: firestore_fn.Event[Any]) -> None:
    _tell(event.params["thing"])


on_thing.__firebase_endpoint__.eventTrigger["retry"] = True  # type: ignore[attr-defined] # the decorator adds it


@tasks_fn.on_task_dispatched(retry_config=options.RetryConfig(max_attempts=9, min_backoff_seconds=1))
def work(request: https_fn.CallableRequest[Any]) -> None:
    _tell(str(request.data))


# The decorator takes an `invoker` and drops it (firebase-functions 0.6.0).
work.__firebase_endpoint__.taskQueueTrigger["invoker"] = ["functions@"]  # type: ignore[attr-defined]
