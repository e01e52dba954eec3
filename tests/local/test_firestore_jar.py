"""The jar that makes the Cloud SDK's emulator startable."""

import zipfile
from pathlib import Path

import pytest

from local import firestore_jar


@pytest.fixture
def sdk_jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An SDK's jar under a long path, and no other emulator on this machine."""
    jar = tmp_path / ("a-folder-whose-name-is-long/" * 5) / "cloud-firestore-emulator.jar"
    jar.parent.mkdir(parents=True)
    jar.touch()
    monkeypatch.delenv(firestore_jar.JAR_VARIABLE, raising=False)
    monkeypatch.setenv("FIREBASE_EMULATORS_PATH", str(tmp_path / "cache"))
    monkeypatch.setattr(firestore_jar, "_LAUNCHER", tmp_path / "launcher.jar")
    monkeypatch.setattr(firestore_jar, "_cloud_sdk_jar", lambda: jar)
    return jar


def test_the_launcher_points_to_the_sdk_in_lines_of_72_bytes_at_most(sdk_jar: Path) -> None:
    launcher = firestore_jar.use_cloud_sdk()
    assert launcher is not None
    manifest = zipfile.ZipFile(launcher).read("META-INF/MANIFEST.MF")
    assert max(len(line) for line in manifest.split(b"\r\n")) == 72
    unwrapped = manifest.replace(b"\r\n ", b"").decode()
    assert f"Class-Path: file://{sdk_jar}\r\n" in unwrapped
    assert unwrapped.endswith("\r\n\r\n")


def test_a_launcher_whose_sdk_has_gone_does_not_count(sdk_jar: Path) -> None:
    assert firestore_jar.find_jar() is None
    launcher = firestore_jar.use_cloud_sdk()
    assert firestore_jar.find_jar() == launcher
    sdk_jar.unlink()
    assert firestore_jar.find_jar() is None


def test_what_firebase_tools_has_downloaded_goes_before_the_sdk_newest_first(sdk_jar: Path, tmp_path: Path) -> None:
    firestore_jar.use_cloud_sdk()
    (tmp_path / "cache").mkdir()
    for version in ("1.9.0", "1.19.8", "1.2.3"):
        (tmp_path / f"cache/cloud-firestore-emulator-v{version}.jar").touch()
    found = firestore_jar.find_jar()
    assert found is not None
    assert found.name == "cloud-firestore-emulator-v1.19.8.jar"


def test_a_variable_that_names_no_file_is_refused(sdk_jar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(firestore_jar.JAR_VARIABLE, str(sdk_jar.with_name("elsewhere.jar")))
    with pytest.raises(firestore_jar.NotFound, match=r"names .*elsewhere\.jar, which is no file"):
        firestore_jar.find_jar()
