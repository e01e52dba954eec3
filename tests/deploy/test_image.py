"""The image's tag follows from what it is built from, and all of that reaches Cloud Build."""

import shutil
from pathlib import Path

import pytest

from deploy.steps.image import source_tag
from local.dockerfile import stages
from local.project import ROOT

_FROM_THE_PROJECT = [
    source
    for stage in stages((ROOT / "connector/Dockerfile").read_text())
    for value in stage.values("COPY")
    if not value.startswith("--from=")
    for source in value.split()[:-1]
]


@pytest.mark.parametrize("source", _FROM_THE_PROJECT)
def test_what_the_dockerfile_copies_is_uploaded_and_part_of_the_tag(source: str, tmp_path: Path) -> None:
    allowed = [
        line.removeprefix("!/") for line in (ROOT / ".gcloudignore").read_text().splitlines() if line[:2] == "!/"
    ]
    assert any(source == each or (each.endswith("/") and f"{source}/".startswith(each)) for each in allowed)

    sources = tmp_path / "sources"
    for name in ("connector", "functions/core", "functions/identity", "deploy"):
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "LICENSE", sources)
    before = source_tag(sources)
    changed = next(
        path for path in [sources / source, *sources.glob(source), *sources.glob(f"{source}/*")] if path.is_file()
    )
    changed.write_bytes(changed.read_bytes() + b"\n")
    assert source_tag(sources) != before


def test_the_functions_settings_and_secrets_are_not_uploaded_with_the_image() -> None:
    """gcloud uploads everything in a folder that is included, unless a later line excludes it."""
    lines = (ROOT / ".gcloudignore").read_text().splitlines()
    assert lines.index("!/functions/") < lines.index("/functions/*") < lines.index("!/functions/core/")


def test_the_tag_is_the_same_wherever_the_sources_are(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "connector").mkdir(parents=True)
        (tmp_path / name / "connector/app.py").write_text("print()")
    assert source_tag(tmp_path / "one") == source_tag(tmp_path / "two")
