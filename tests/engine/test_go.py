"""The engine's own tests in Go: decisions that need no network, and what a new pin of whatsmeow must still do."""

import subprocess

import pytest

from local import go


@pytest.mark.timeout(400)  # compiles the engine where nothing of it is in Go's cache yet
@pytest.mark.parametrize("tags", ["", "wiretest"])
def test_the_engines_go_tests_pass(tags: str) -> None:
    run = subprocess.run(
        [go.go(), "test", "-tags", tags, "./..."],
        cwd=go.ENGINE,
        env=go.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=390,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "ok  \tthreadline/engine/internal/session" in run.stdout
