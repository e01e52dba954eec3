"""The connector's image, as far as it can be known without Docker; and that the check sees what it is for."""

import shutil
from pathlib import Path

import pytest

from local import image_check
from local.dockerfile import is_ignored, stages
from local.image_check import DOCKERFILE, Image, Unfit
from local.processes import Processes
from local.project import ROOT

PATTERNS = ["*", "!connector", "!functions/core", "**/__pycache__", "connector/engine/**/*_test.go"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return image_check.lay_out(tmp_path_factory.mktemp("image"))


def test_what_the_copy_lines_put_into_a_clean_folder_starts_serves_and_ends_in_time(
    image: Image, processes: Processes
) -> None:
    image_check.check_declarations(image.stages)
    image_check.check_imports(image)
    image_check.check_refusal(image)
    image_check.check_backup(image)
    image_check.check_life(image, processes)


def test_the_licences_and_the_engines_source_are_in_it(image: Image) -> None:
    image_check.check_notices(image)


def test_cloud_build_is_given_everything_that_the_copy_lines_name() -> None:
    """`gcloud builds submit` uploads what .gcloudignore lets through."""
    taken = {line[1:] for line in (ROOT / ".gcloudignore").read_text().splitlines() if line.startswith("!")}
    copies = [
        value for stage in stages(DOCKERFILE.read_text()) for value in stage.values("COPY") if "--from" not in value
    ]
    sources = [source for value in copies for source in value.split()[:-1]]
    assert [each for each in sources if not any(f"/{each}/".startswith(path.rstrip("*")) for path in taken)] == []


def test_nothing_is_in_it_that_was_not_meant_to_be(image: Image) -> None:
    names = {path.name for path in image.app.iterdir()}
    assert names == {"connector", "core", "deploy", "identity", "notices", "requirements.txt", "wa-engine"}
    files = [path for path in (image.app / "connector").rglob("*") if path.is_file()]
    others = [path.name for path in files if path.suffix not in (".py", ".pyi", ".proto")]
    assert others == ["passkey_page.js"]
    assert {path.parent.name for path in files} == {"connector", "contract", "admin", "doctor", "cloud"}


@pytest.mark.parametrize(
    ("line", "instead", "complaint"),
    [
        ("FROM python:3.11.15-slim-bookworm", "FROM python:3.11-slim", "neither pinned"),
        ("FROM golang:1.26.8-bookworm AS", "FROM golang AS", "neither pinned"),
        ("USER 10001:10001", "", "as root"),
        ("USER 10001:10001", "USER root", "as root"),
        ('CMD ["python", "-m", "connector"]', "CMD python -m connector", "exec form"),
        ("HEALTHCHECK", "LABEL health", "HEALTHCHECK"),
    ],
)
def test_a_declaration_that_must_not_be_is_seen(line: str, instead: str, complaint: str) -> None:
    text = DOCKERFILE.read_text()
    assert line in text
    with pytest.raises(Unfit, match=complaint):
        image_check.check_declarations(stages(text.replace(line, instead)))


@pytest.mark.parametrize(
    ("lost", "complaint"),
    [("identity", "No module named 'identity'"), ("core/text.py", "cannot import name|core.text")],
)
def test_a_module_that_is_not_copied_is_missed(image: Image, lost: str, complaint: str) -> None:
    kept = image.app.with_name("kept")
    shutil.move(image.app / lost, kept)
    try:
        with pytest.raises(Unfit, match=complaint):
            image_check.check_imports(image)
    finally:
        shutil.move(kept, image.app / lost)


@pytest.mark.parametrize(
    ("requirement", "complaint"),
    [("segno", "'segno' in the image"), ("google-cloud-firestore", "google-cloud-firestore")],
)
def test_a_package_that_is_not_required_is_missed(image: Image, requirement: str, complaint: str) -> None:
    requirements = image.app / "requirements.txt"
    text = requirements.read_text()
    requirements.write_text(text.replace(f"{requirement}==", "nothing-of-this-name=="))
    try:
        with pytest.raises(Unfit, match=complaint):
            image_check.check_imports(image)
    finally:
        requirements.write_text(text)


def test_a_lost_licence_is_missed(image: Image, tmp_path: Path) -> None:
    (licence,) = image.app.glob("notices/modules/go.mau.fi/libsignal@*/LICENSE")
    shutil.move(licence, tmp_path / "kept")
    try:
        with pytest.raises(Unfit, match="licence of libsignal"):
            image_check.check_notices(image)
    finally:
        shutil.move(tmp_path / "kept", licence)


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("README.md", True),
        ("connector/app.py", False),
        ("connector/__pycache__/app.pyc", True),
        ("functions/core/ids.py", False),
        ("functions/backend/send.py", True),
        ("connector/engine/internal/inbox/inbox_test.go", True),
        ("connector/engine/inbox_test.go", True),
        ("connector/engine/inbox.go", False),
    ],
)
def test_the_last_line_of_dockerignore_that_fits_decides(path: str, ignored: bool) -> None:
    assert is_ignored(path, PATTERNS) is ignored
