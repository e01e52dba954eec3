"""A send job in a process of its own, for a test that kills it: `python -m tests.backend.killed_job <settings as JSON>`."""

import json
import sys

from backend.send_queue import Job
from backend.settings import Settings
from core.ids import ThreadId
from core.timing import Timing
from tests.backend.surroundings import TIME_SCALE, build_services


def main() -> None:
    fields = json.loads(sys.argv[1])
    thread = ThreadId(fields.pop("thread"))
    settings = Settings(environment=fields, timing=Timing().scaled(TIME_SCALE))
    build_services(settings).send.run(Job(thread_id=thread), is_retry=False)


if __name__ == "__main__":
    main()
