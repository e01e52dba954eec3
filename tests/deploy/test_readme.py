"""README's section "Deploying", followed to the letter by a new operator in a clean copy, with fake programs in the place of Google's."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.resources import FUNCTIONS
from local.project import ROOT
from tests.deploy.fake_cloud import programs
from tests.deploy.fake_cloud.cloud import STATE_VARIABLE, Cloud, load, new_state, save
from tests.deploy.fake_cloud.rules_server import serve

_NOT_CLONED = shutil.ignore_patterns(
    ".git", ".venv", "venv", "node_modules", "out", ".cache", "__pycache__", ".env.*", "firebase.*.json", ".*_cache"
)
_SECTION = re.compile(r"## Deploying\n.*?```sh\n(.*?)```", re.DOTALL)


def documented_commands() -> list[str]:
    found = _SECTION.search((ROOT / "README.md").read_text())
    assert found is not None
    return found.group(1).splitlines()


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A person at a terminal, in a clone, with Google's programs on PATH."""

    clone: Path
    state: Path
    environment: dict[str, str]

    @property
    def cloud(self) -> Cloud:
        return load(self.state)

    def types(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", line], cwd=self.clone, env=self.environment, capture_output=True, text=True, check=False
        )


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    clone, state, path = tmp_path / "clone", tmp_path / "cloud.json", tmp_path / "bin"
    shutil.copytree(ROOT, clone, ignore=_NOT_CLONED)
    programs.install(path)
    _stand_in_for_set_up(path, clone)
    cloud = Cloud(new_state())
    cloud.state["faults"] = {"signed_out": True, "eventarc_refusals": 1}
    save(cloud, state)
    with serve(lambda: load(state)) as rules_url:
        environment = {
            "PATH": f"{path}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
            STATE_VARIABLE: str(state),
            "FIREBASE_RULES_URL": rules_url,
        }
        yield Operator(clone=clone, state=state, environment=environment)


def _stand_in_for_set_up(path: Path, clone: Path) -> None:
    """`make setup` takes minutes and the package registries; its own tests are elsewhere. Here it puts the fake programs where it would
    put the real ones: .venv/bin/python is this Python, but for the fake command line of the connector."""
    python = f"""#!/bin/sh
if [ "$1 $2" = "-m connector.admin" ]; then shift 2; exec {shlex.quote(str(path / "threadline-admin"))} "$@"; fi
exec {shlex.quote(sys.executable)} "$@"
"""
    set_up = f"""#!/bin/sh
[ "$1 $2" = "-m local.setup" ] || exec {shlex.quote(sys.executable)} "$@"
mkdir -p .venv/bin local/firebase_tools/node_modules/.bin
cp {shlex.quote(str(path / "python"))} .venv/bin/python
cp {shlex.quote(str(path / "firebase"))} local/firebase_tools/node_modules/.bin/firebase
"""
    for name, text in (("python", python), ("python3.11", set_up)):
        (path / name).write_text(text)
        (path / name).chmod(0o755)
    assert not (clone / ".venv").exists()


@pytest.mark.timeout(600)
def test_a_new_operator_who_types_what_readme_says_has_a_running_project(operator: Operator) -> None:
    *preparation, dry, deploy = documented_commands()
    for line in preparation:
        ended = operator.types(line)
        assert ended.returncode == 0, (line, ended.stderr)
    looked = operator.types(dry)
    assert looked.returncode == 0, looked.stderr
    assert not [record for record in operator.cloud.state["log"] if record.get("changed")], (
        "a dry run changed something"
    )

    ended = operator.types(deploy)

    assert ended.returncode == 0, ended.stderr
    state = operator.cloud.state
    assert set(state["functions"]) == {function.name for function in FUNCTIONS}
    assert "threadline-connector-0" in state["services"]
    assert (state["admins"], state["whatsapp_accounts"]) == (["you@example.com"], ["sales-1"])
    assert "waiting: Eventarc's service agent" in ended.stdout
    shown = looked.stdout + looked.stderr + ended.stdout + ended.stderr
    assert not [value for value in operator.cloud.secret_values() if value in shown]
    dry_steps = [line for line in looked.stdout.splitlines() if line.startswith("[")]
    assert len(dry_steps) == len([line for line in ended.stdout.splitlines() if line.startswith("[")])


def test_without_a_project_or_with_an_address_on_the_command_line_make_says_what_to_do(operator: Operator) -> None:
    unnamed = operator.types("make deploy")
    assert unnamed.returncode == 2
    assert "make deploy project=ID" in unnamed.stderr
    shown = operator.types("make deploy project=my-company-inbox dry=1 store=postgres://engine:correct-horse@db/engine")
    assert shown.returncode == 2
    assert "path of a file" in shown.stderr
    assert "correct-horse" not in shown.stdout + shown.stderr
