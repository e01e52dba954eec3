"""A launcher as tests of its end need it: children of the unpleasant kinds, then waiting for ever.

    python -m tests.local.launching [--ends-with-parent]

Prints `running <run id>` when all of them run.
"""

import signal
import sys

from local.processes import Processes, printed

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
DETACHES = (
    "import subprocess, sys; "
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True); "
    "print('up', flush=True); import time; time.sleep(600)"
)


def main() -> None:
    with Processes(purpose="launching", ends_with_parent="--ends-with-parent" in sys.argv) as processes:
        for name, program in {"stubborn": STUBBORN, "detaches": DETACHES}.items():
            processes.start(name, [sys.executable, "-c", program], ready=printed("up"), grace_s=0.2)
        sys.stdout.write(f"running {processes.run_id}\n")
        sys.stdout.flush()
        signal.pause()


if __name__ == "__main__":
    main()
