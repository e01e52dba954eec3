"""`make-super-admin`: the role claim, against the Auth emulator."""

import json

import httpx
import pytest

from local import ports
from local.processes import Processes
from local.project import PROJECT_ID, ROOT
from tests.connector_admin.running import CommandLine

_FIREBASE = ROOT / "local/firebase_tools/node_modules/firebase-tools/lib/bin/firebase.js"
_SUITE_LIMIT_S = 120.0
_OWNER = {"Authorization": "Bearer owner"}


class Users:
    """The emulator's user directory, as the Firebase console shows it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._url = f"http://{address}/identitytoolkit.googleapis.com/v1/projects/{PROJECT_ID}/accounts"

    def add(self, email: str, **fields: object) -> str:
        body = {"email": email, "password": "of-the-emulator", **fields}
        return str(self._post("", body)["localId"])

    def claims(self, uid: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(self._post(":lookup", {"localId": [uid]})["users"][0]["customAttributes"])
        return found

    def give(self, uid: str, claims: dict[str, object]) -> None:
        self._post(":update", {"localId": uid, "customAttributes": json.dumps(claims)})

    def _post(self, method: str, body: dict[str, object]) -> dict[str, list[dict[str, str]]]:
        answer = httpx.post(f"{self._url}{method}", json=body, headers=_OWNER, timeout=30)
        answer.raise_for_status()
        found: dict[str, list[dict[str, str]]] = answer.json()
        return found


@pytest.fixture(scope="module")
def users(processes: Processes) -> Users:
    folder = processes.folder / "auth"
    (folder / "config").mkdir(parents=True)
    (folder / "tmp").mkdir()
    port, hub, logging = (ports.free_port() for _ in range(3))
    emulators = {
        name: {"host": ports.HOST, "port": at} for name, at in (("auth", port), ("hub", hub), ("logging", logging))
    }
    (folder / "firebase.json").write_text(json.dumps({"emulators": {**emulators, "ui": {"enabled": False}}}))
    environment = {
        "XDG_CONFIG_HOME": str(folder / "config"),
        "TMPDIR": str(folder / "tmp"),
        "CI": "true",
        "NO_UPDATE_NOTIFIER": "1",
    }
    arguments = [
        "node",
        str(_FIREBASE),
        "emulators:start",
        "--only",
        "auth",
        "--project",
        PROJECT_ID,
        "--non-interactive",
    ]
    processes.start(
        "auth",
        arguments,
        environment=environment,
        folder=folder,
        ready=lambda child: "All emulators ready" in child.log_text(),
        time_limit_s=_SUITE_LIMIT_S,
        grace_s=0,
    )
    return Users(f"{ports.HOST}:{port}")


@pytest.fixture
def admin(users: Users) -> CommandLine:
    return CommandLine(project=PROJECT_ID, environment={"FIREBASE_AUTH_EMULATOR_HOST": users.address})


def test_a_user_becomes_a_super_admin_by_email_or_uid_and_keeps_other_claims(users: Users, admin: CommandLine) -> None:
    ana, ion = users.add("ana@example.com"), users.add("ion@example.com")
    users.give(ion, {"role": "employee", "team": "sales"})
    assert f"ana@example.com is a super-admin of project {PROJECT_ID}" in admin.does(
        "make-super-admin", "ana@example.com"
    )
    assert users.claims(ana) == {"role": "superAdmin"}
    assert admin.data("make-super-admin", ion) == {"uid": ion, "email": "ion@example.com", "role": "superAdmin"}
    assert users.claims(ion) == {"role": "superAdmin", "team": "sales"}
    admin.does("make-super-admin", "ana@example.com")
    assert users.claims(ana) == {"role": "superAdmin"}


@pytest.mark.parametrize("name", ["nobody@example.com", "no-such-uid"])
def test_a_user_that_is_not_there_is_not_found(admin: CommandLine, name: str) -> None:
    assert "the person must have signed in once" in admin.fails(3, "make-super-admin", name)


def test_a_directory_that_does_not_answer_is_said(admin: CommandLine) -> None:
    nowhere = CommandLine(
        project=PROJECT_ID, environment={"FIREBASE_AUTH_EMULATOR_HOST": f"{ports.HOST}:{ports.free_port()}"}
    )
    assert "the user directory did not answer" in nowhere.fails(1, "make-super-admin", "ana@example.com")


def test_without_a_name_it_is_wrong_usage(admin: CommandLine) -> None:
    assert "EMAIL|UID" in admin.fails(2, "make-super-admin")
