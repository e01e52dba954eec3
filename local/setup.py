"""Sets this machine up for a command: `python3.11 -m local.setup check|test|demo|pair`. Needs nothing but Python 3.11 and Node 20.

This module keeps to what any Python 3 understands, so that a wrong version gets a message and not a syntax error.
"""

import sys

PYTHON_WANTED = (3, 11)


def python_complaint(version: "tuple[int, ...]") -> "str | None":
    """What is wrong with this Python version, or None."""
    if tuple(version[:2]) == PYTHON_WANTED:
        return None
    return (
        "Threadline needs Python 3.11, the version that its functions run on when deployed; this is {}.{}.\n"
        "Install Python 3.11 so that `python3.11` is on PATH, or name it: make PYTHON=/path/to/python3.11"
    ).format(*version[:2])


if __name__ == "__main__":
    complaint = python_complaint(sys.version_info[:3])
    if complaint:
        sys.exit(complaint)
    from local import machine

    sys.exit(machine.main(sys.argv[1:]))
