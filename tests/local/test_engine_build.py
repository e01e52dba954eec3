"""The engine's build and checks, with a small Go program in its place."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import check, engine_build, go
from local.engine_build import BuildFailed, Variant
from local.project import ROOT

MAIN = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println(word) }\n'
RELEASED = '//go:build !wiretest\n\npackage main\n\nconst word = "released"\n'
WIRETEST = '//go:build wiretest\n\npackage main\n\nconst word = "wiretest"\n'


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "engine"
    folder.mkdir()
    wanted = ".".join(map(str, go.version_wanted()))
    (folder / "go.mod").write_text(f"module small\n\ngo {wanted}\n")
    (folder / "main.go").write_text(MAIN)
    (folder / "word.go").write_text(RELEASED)
    (folder / "word_wiretest.go").write_text(WIRETEST)
    return folder


@pytest.fixture
def programs(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where the two programs will stand."""
    built = tmp_path / "built"
    use(built, sources, monkeypatch)
    return [variant.program for variant in engine_build.VARIANTS]


def use(built: Path, sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go, "ENGINE", sources)
    monkeypatch.setattr(engine_build, "FOLDER", built)
    variants = (Variant(program=built / "wa-engine", tags=""), Variant(program=built / "wa-test", tags="wiretest"))
    monkeypatch.setattr(engine_build, "VARIANTS", variants)


def said(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.strip()


def test_both_variants_are_built(programs: list[Path]) -> None:
    assert not engine_build.is_up_to_date()
    engine_build.build()
    assert engine_build.is_up_to_date()
    assert [said(program) for program in programs] == ["released", "wiretest"]


def test_only_what_changed_is_built_again(programs: list[Path], sources: Path) -> None:
    engine_build.build()
    first = [program.stat().st_ino for program in programs]

    (sources / "word_test.go").write_text("package main\n")
    engine_build.build()
    assert [program.stat().st_ino for program in programs] == first, "tests are no part of the program"

    (sources / "word.go").write_text(RELEASED.replace("released", "changed"))
    assert not engine_build.is_up_to_date()
    engine_build.build()
    assert said(programs[0]) == "changed"


def test_a_program_that_was_lost_is_built_again(programs: list[Path]) -> None:
    engine_build.build()
    programs[1].unlink()
    assert not engine_build.is_up_to_date()
    engine_build.build()
    assert said(programs[1]) == "wiretest"


def test_what_does_not_compile_is_told_and_the_program_before_stays(programs: list[Path], sources: Path) -> None:
    engine_build.build()
    (sources / "word.go").write_text("//go:build !wiretest\n\npackage main\n\nconst word = 5 +\n")
    with pytest.raises(BuildFailed, match=r"word\.go:\d+"):
        engine_build.build()
    assert said(programs[0]) == "released"
    assert not engine_build.is_up_to_date()


BUILD = """
import sys
from pathlib import Path
import pytest
from local import engine_build
from tests.local.test_engine_build import use
use(Path({built!r}), Path({sources!r}), pytest.MonkeyPatch())
sys.exit(engine_build.main())
"""


def test_builds_that_begin_at_the_same_time_wait_for_each_other(
    programs: list[Path], sources: Path, tmp_path: Path
) -> None:
    counting = tmp_path / "counting/go"
    counting.parent.mkdir()
    counting.write_text(f'#!/bin/sh\necho "$1" >>"{tmp_path}/calls"\nexec "{go.go()}" "$@"\n')
    counting.chmod(0o755)
    path = {"PATH": f"{counting.parent}:{go.environment()['PATH']}", "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"}
    script = BUILD.format(built=str(tmp_path / "built"), sources=str(sources))
    builds = [
        subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, env={**go.environment(), **path}, stdout=subprocess.DEVNULL
        )
        for _ in range(3)
    ]
    assert [build.wait(timeout=100) for build in builds] == [0, 0, 0]
    assert [said(program) for program in programs] == ["released", "wiretest"]
    assert (tmp_path / "calls").read_text().split().count("build") == 2, "the others find it done"


@pytest.fixture
def fresh_look() -> Iterator[None]:
    """What was found out about this machine is found out again."""
    caches = (go.go, go.gofmt, go.version)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.mark.parametrize("own", [None, "go version go1.20.3 linux/amd64"])
def test_without_a_go_that_will_do_the_installed_one_is_taken(
    own: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_look: None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(go, "INSTALLED", tmp_path / "cache")
    if own is not None:
        (tmp_path / "go").write_text(f"#!/bin/sh\necho '{own}'\n")
        (tmp_path / "go").chmod(0o755)
    assert not go.machine_will_do()
    with pytest.raises(go.NotFound, match=r"local\.setup test"):
        go.go()
    program = tmp_path / "cache/lib/python3.11/site-packages/go/bin/go"
    program.parent.mkdir(parents=True)
    program.touch()
    assert go.go() == program


def test_a_newer_go_on_path_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_look: None) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "go").write_text("#!/bin/sh\necho 'go version go99.1 linux/amd64'\n")
    (tmp_path / "go").chmod(0o755)
    assert go.go() == tmp_path / "go"


@pytest.mark.parametrize(
    ("file", "source", "failing"),
    [
        ("main.go", MAIN.replace("func main", "func  main"), {"gofmt"}),
        ("main.go", MAIN.replace("Println(word)", 'Printf("%d", word)'), {"go vet", "go vet (wiretest)"}),
        ("word_wiretest.go", WIRETEST.replace("const word =", "const word int ="), {"go vet (wiretest)"}),
    ],
    ids=["format", "both builds", "the wiretest build alone"],
)
def test_each_way_to_build_is_checked(sources: Path, file: str, source: str, failing: set[str]) -> None:
    (sources / file).write_text(source)
    checks = [each for each in check.engine(sources) if not each.name.startswith("staticcheck")]
    assert {each.name for each in checks if not each.passes()} == failing
