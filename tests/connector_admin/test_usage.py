"""Arguments that cannot be meant: refused before anything is looked at, with what is wrong and where help is."""

import pytest

from connector.admin.command_line import run

THREAD = "nobody_40712345678@s.whatsapp.net"
WRONG = [
    ([], "COMMAND"),
    (["shred"], "invalid choice"),
    (["accounts", "shop-1"], "unrecognized arguments"),
    (["account"], "ACCOUNT"),
    (["--projec", "x", "accounts"], "invalid choice"),
    (["pair", "shop-1", "--phone", "0712345678"], "a phone number must be"),
    (["pair", "shop-1", "--wait", "soon"], "above 0"),
    (["limits", "shop-1", "--cold-per-day", "-1"], "--cold-per-day"),
    (["limits", "shop-1", "--send-burst", "0"], "from 1 to 600, or default, which is 20"),
    (["limits", "shop-1", "--queue-limit-s", "1e3"], "from 300 to 2592000"),
    (["replay", "a/b"], "must not hold '/'"),
    (["replay", "--all-of-code", "outcome_unknown"], "rows are kept with one of"),
    (["resolve", f"{THREAD}_{'0' * 64}", "shred"], "invalid choice"),
    (["thread", THREAD, "--count", "0"], "from 1 to 1000"),
    (["thread", THREAD, "--loud"], "unrecognized"),
    (["who", "0" * 13], "twelve digits"),
    (["who", "0123456789AB"], "twelve digits"),
    (["who", "+40712345678"], "twelve digits"),
]


@pytest.mark.parametrize(("arguments", "complaint"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_what_cannot_be_meant_is_wrong_usage(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(arguments)
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert complaint in said.err
    assert "Help, with an example: python -m connector.admin" in said.err


COMMANDS = [
    "accounts",
    "account",
    "pair",
    "create",
    "pause",
    "resume",
    "logout",
    "close-gap",
    "limits",
    "alerts",
    "queue",
    "replay",
    "resolve",
    "thread",
    "who",
    "doctor",
    "make-super-admin",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_commands_help_has_an_example_and_fits(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run([command, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    example = said.rpartition("example:\n  python -m connector.admin ")[2]
    assert example.startswith(command)
    assert all(len(line) <= 100 for line in said.splitlines())


def test_the_help_names_every_command_and_what_a_status_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["--help"])
    said = capsys.readouterr().out
    assert all(f"\n    {command}" in said for command in COMMANDS)
    assert "0 done; 1 could not be done, and why; 2 wrong usage; 3 not found; 130 interrupted" in said
