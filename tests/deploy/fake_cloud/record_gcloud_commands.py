"""Records which commands and flags the real gcloud has: `python -m tests.deploy.fake_cloud.record_gcloud_commands`.

Reads the command tree that an installed Google Cloud CLI carries for shell completion. It is run by hand when a command is added; the
tests use what it wrote, since a machine that runs them has no gcloud.
"""

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

RECORD = Path(__file__).with_name("gcloud_commands.json")
COMMANDS = Path(__file__).with_name("gcloud_commands.txt")
"""The commands to record, one a line."""


def main() -> int:
    root = subprocess.run(
        ["gcloud", "info", "--format=value(installation.sdk_root)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    spec = spec_from_file_location("gcloud_completions", f"{root}/data/cli/gcloud_completions.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    tree: dict[str, Any] = module.STATIC_COMPLETION_CLI_TREE
    recorded = {"": _kinds(tree["flags"])}
    for line in COMMANDS.read_text().split("\n"):
        if line.strip():
            recorded[line.strip()] = _kinds(_found(tree, line.split())["flags"])
    RECORD.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
    return 0


def _found(tree: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """Raises KeyError of a command that gcloud does not have."""
    for word in words:
        tree = tree["commands"][word]
    return tree


def _kinds(flags: dict[str, Any]) -> dict[str, Any]:
    """`bool` for a switch, a list for the values that a flag may have, `value` for anything else."""
    return {name: kind if kind == "bool" or isinstance(kind, list) else "value" for name, kind in flags.items()}


if __name__ == "__main__":
    sys.exit(main())
