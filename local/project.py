"""Where the project stands on this machine, and the names that all local runs share."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHONPATH = f"{ROOT}{os.pathsep}{ROOT / 'functions'}"
"""Where the packages of both services and of the stand-ins are found."""
OUT = ROOT / "out"
"""Everything that a run writes: logs, generated settings. Ignored by git."""
CACHE = ROOT / ".cache"
"""What set-up keeps between runs. Ignored by git."""

PROJECT_ID = "demo-threadline"
"""A project id that begins with demo- is never a real one: the Firebase tools and clients keep to the emulators."""
REGION = "europe-west1"
