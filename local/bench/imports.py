"""How long the functions' main.py takes to import, beside the SDK alone; and that it opens nothing while it does."""

import json
import statistics
import subprocess

from local.bench.figures import Figure, figure
from local.production.manifest import FUNCTIONS, PYTHON
from local.project import PROJECT_ID

_ROUNDS = 7
_PROGRAM = """
import json, os, stat, threading, time
began = time.perf_counter()
{imports}
took = time.perf_counter() - began
def is_socket(descriptor):
    try:
        return stat.S_ISSOCK(os.fstat(int(descriptor)).st_mode)
    except OSError:  # that of the listing itself
        return False
sockets = sum(map(is_socket, os.listdir("/dev/fd")))
print(json.dumps({{"took": took, "opened": sockets + threading.active_count() - 1}}))
"""
_MAIN = "import main"
_SDK = "import functions_framework, firebase_admin\nfrom firebase_functions import firestore_fn, https_fn, scheduler_fn, tasks_fn"


def figures() -> list[Figure]:
    main, sdk = [], []
    for _ in range(_ROUNDS):
        main.append(_run(_MAIN))
        sdk.append(_run(_SDK))
    milliseconds = [statistics.median(run["took"] for run in runs) * 1000 for runs in (main, sdk)]
    opened = [max(run["opened"] for run in runs) for runs in (main, sdk)]
    return [
        figure("import of functions/main.py", milliseconds[0], "ms", milliseconds[1]),
        figure("import of functions/main.py: sockets and threads opened", opened[0], "", opened[1]),
    ]


def _run(imports: str) -> dict[str, float]:
    done = subprocess.run(
        [PYTHON, "-c", _PROGRAM.format(imports=imports)],
        cwd=FUNCTIONS,
        env={"GOOGLE_CLOUD_PROJECT": PROJECT_ID, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured
