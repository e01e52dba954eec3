"""Stops a deploy whose parameters are missing or malformed, before anything is deployed.

To find out what to deploy, the Firebase CLI imports the functions in a process of firebase-functions' own, which has ADMIN_PORT in its
environment and the values of the `.env` files (firebase-tools 15, lib/deploy/functions/runtimes/python). It shows that process's
error output and stops when the import fails.
"""

import os
import sys

from werkzeug.exceptions import HTTPException

from backend.params import complaints

_DISCOVERY = "ADMIN_PORT"


class DeployStopped(HTTPException):
    """Answers the CLI's question with an error; Flask adds no traceback to an HTTPException."""

    code = 500


def stop_an_invalid_deploy() -> None:
    """Does nothing in a deployed function. Raises DeployStopped."""
    if _DISCOVERY not in os.environ:
        return
    found = complaints(os.environ)
    if found:
        lines = "\n".join(f"  {complaint}" for complaint in found)
        sys.stderr.write(f"Threadline is not deployed. Correct functions/.env.<project id>:\n{lines}\n")
        sys.stderr.flush()
        raise DeployStopped("a parameter is missing or malformed")
