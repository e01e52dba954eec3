"""`python -m connector.admin COMMAND`: runs one command and ends with its status."""

import sys

_INTERRUPTED = 130


def main() -> int:
    try:
        from connector.admin.command_line import run  # it takes a second, in which somebody may think better of it
    except KeyboardInterrupt:
        return _INTERRUPTED
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
