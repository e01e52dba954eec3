"""`python -m connector`: reads the settings, serves, and ends with status 0 after SIGTERM."""

import asyncio
import sys

from connector import log
from connector.app import serve
from connector.settings import InvalidSettings, settings_from_environment


def main() -> int:
    try:
        settings = settings_from_environment()
    except InvalidSettings as error:
        log.settings_refused(str(error))
        return 2
    try:
        asyncio.run(serve(settings))
    except Exception as error:  # noqa: BLE001 - the process's edge: what asyncio would print may quote ids
        log.crashed("the connector", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
