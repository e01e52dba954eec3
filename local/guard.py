"""A process beside each launcher that outlives it by a moment, to end what the launcher could not: after `kill -9`, too.

Started with the run's id as its argument; its standard input is a pipe that the launcher alone holds open.
"""

import signal
import sys

from local.run_marker import kill_marked


def main(run_id: str) -> int:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass  # ends when the launcher is gone, for whatever reason
    return 1 if kill_marked(run_id) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
