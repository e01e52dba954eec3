"""No secret is on a command line, in what a deploy prints, or in a file that it writes."""

from pathlib import Path

import pytest

from deploy.__main__ import main
from deploy.local_tools import local_environment
from deploy.parameters import WrongUsage, read_parameters
from deploy.secret_text import password_of, secret_parts
from tests.deploy.conftest import PROJECT, Site

_STORE = "postgres://engine:correct-horse@db.example.com/engine"


def everything_shown(site: Site, capsys: pytest.CaptureFixture[str]) -> str:
    """Command lines, what was printed, and the files that were written."""
    captured = capsys.readouterr()
    lines = [argument for record in site.cloud.state["log"] for argument in record["arguments"]]
    files = [path.read_text() for path in site.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return "\n".join([*lines, *site.said, captured.out, captured.err, *files])


@pytest.mark.parametrize("store", [None, _STORE], ids=["Cloud SQL", "given"])
def test_no_secret_is_shown_by_a_deploy(site: Site, store: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.deploy(store=store) == 0
    values = site.cloud.secret_values()
    assert len(values) >= 3
    shown = everything_shown(site, capsys)
    for value in values:
        for part in secret_parts(value):
            assert part not in shown
    assert "ya29." not in shown, "an access token"


def test_an_error_that_quotes_a_secret_is_shown_without_it(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.deploy.fake_cloud import programs
    from tests.deploy.fake_cloud.cloud import Refusal

    def quoting(cloud: object, line: object, given: str | None) -> None:
        raise Refusal(f"INVALID_ARGUMENT: the value {given} is not allowed")

    monkeypatch.setitem(programs.HANDLERS, "secrets versions add", quoting)
    assert site.deploy(store=_STORE) == 1
    shown = everything_shown(site, capsys)
    assert "the value [hidden] is not allowed" in shown
    assert "correct-horse" not in shown


def test_a_dry_run_shows_no_secret_and_does_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENGINE_STORE", _STORE)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert main(["--project", PROJECT, "--dry", "--admin", "ana@example.com", "--account", "sales-1"]) == 0
    shown = capsys.readouterr().out
    assert "correct-horse" not in shown
    assert "the given address of your PostgreSQL" in shown
    for words in ("services enable", "run services replace", "deploy --only=functions:threadline", "make-super-admin"):
        assert words in shown


def test_an_address_on_the_command_line_is_refused_and_not_repeated() -> None:
    with pytest.raises(WrongUsage) as refused:
        read_parameters(["--project", PROJECT, "--store", _STORE], None)
    assert "correct-horse" not in str(refused.value)
    assert "path of a file" in str(refused.value)


def test_an_address_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.write_text(f"{_STORE}\n")
    assert read_parameters(["--project", PROJECT, "--store", str(path)], None).store == _STORE
    assert read_parameters(["--project", PROJECT], _STORE).store == _STORE
    assert read_parameters(["--project", PROJECT], None).store is None
    assert "correct-horse" not in repr(read_parameters(["--project", PROJECT], _STORE))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "project"),
        (["--project", "My Project"], "project"),
        (["--project", PROJECT, "--shards", "many"], "shards"),
        (["--project", PROJECT, "--shards", "0"], "shards"),
        (["--project", PROJECT, "--admin", "ana"], "admin"),
        (["--project", PROJECT, "--account", "sales 1"], "account"),
        (["--project", PROJECT, "--database", "Threadline!"], "database"),
        (["--project", PROJECT, "--image", "connector"], "image"),
        (["--project", PROJECT, "--store", "/nonexistent/store"], "store"),
    ],
)
def test_a_malformed_parameter_is_refused_by_its_name(arguments: list[str], named: str) -> None:
    with pytest.raises(WrongUsage, match=named):
        read_parameters(arguments, None)


def test_a_password_is_hidden_wherever_it_stands() -> None:
    assert {"correct-horse", _STORE} <= secret_parts(_STORE)
    assert "correct-horse" in secret_parts("--password: correct-horse\n")
    assert password_of("postgres://engine:a%40b@/engine?host=/cloudsql/p:r:i") == "a@b"


def test_no_command_inherits_the_store_s_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_STORE", _STORE)
    assert _STORE not in local_environment().values()
