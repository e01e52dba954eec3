"""Runs commands on this machine, in the project's folder, and removes secrets from their output."""

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.command import Answer, Command, CommandFailed, Program, gcloud
from deploy.secret_text import secret_parts
from deploy.waits import API_NOT_ENABLED

_RULES_URL = "https://firebaserules.googleapis.com"
_CALL_S = 30.0
_HIDDEN = "[hidden]"


class LocalTools:
    """`environment` is what commands see; `programs` replaces programs, for tests."""

    def __init__(
        self, *, folder: Path, environment: Mapping[str, str], programs: Mapping[Program, list[str]] | None = None
    ) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._programs = programs or {}
        self._secrets: set[str] = set()

    def run(self, command: Command) -> Answer:
        secret = command.input.produce(self) if command.input else None
        if secret is not None:
            self.hide(secret)
        program, *arguments = command.arguments
        answer = self._run([*self._programs.get(program, [program]), *arguments], secret, command)
        if (
            answer.status not in command.accepts
            and command.empty_if
            and re.search(command.empty_if, answer.errors, re.IGNORECASE)
        ):
            return Answer(status=0, out="[]", errors="")
        if command.is_answer_secret and answer.status == 0:
            self.hide(answer.out)
        if answer.status not in command.accepts:
            raise CommandFailed(command, answer)
        return answer

    def _run(self, arguments: list[str], secret: str | None, command: Command) -> Answer:
        try:
            run = subprocess.run(
                arguments,
                cwd=self._folder,
                env={**self._environment, **command.environment},
                input=secret,
                stdin=subprocess.DEVNULL if secret is None else None,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            return Answer(status=127, out="", errors=f"{arguments[0]} is not installed, or is not on PATH")
        is_failure = run.returncode not in command.accepts
        said = run.stdout if is_failure and not command.is_answer_secret else ""
        return Answer(status=run.returncode, out=run.stdout, errors=self.without_secrets(f"{said}{run.stderr}"))

    def hide(self, secret: str) -> None:
        """From now on, removes the address and its password from all output."""
        self._secrets.update(secret_parts(secret))

    def without_secrets(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        return text

    def read(self, path: Path) -> str | None:
        try:
            return (self._folder / path).read_text()
        except FileNotFoundError:
            return None

    def write(self, path: Path, text: str) -> None:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def rules(self, project: str, database: str) -> str | None:
        release = "cloud.firestore" if database == "(default)" else f"cloud.firestore/{database}"
        found = self._get(project, f"projects/{project}/releases/{release}")
        if found is None:
            return None
        ruleset = self._get(project, found["rulesetName"]) or {}
        return "\n".join(file.get("content", "") for file in ruleset.get("source", {}).get("files", []))

    def _get(self, project: str, name: str) -> dict[str, Any] | None:
        """https://firebase.google.com/docs/reference/rules/rest: no command of gcloud or firebase reads released rules."""
        token = self.run(
            Command(arguments=("gcloud", "auth", "print-access-token", "--quiet"), is_answer_secret=True)
        ).out.strip()
        base = self._environment.get("FIREBASE_RULES_URL") or _RULES_URL
        request = urllib.request.Request(  # noqa: S310 - Google's address, or the test's
            f"{base}/v1/{name}", headers={"Authorization": f"Bearer {token}", "X-Goog-User-Project": project}
        )
        try:
            with urllib.request.urlopen(request, timeout=_CALL_S) as response:  # noqa: S310 - as above
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            refusal = error.read().decode(errors="replace")
            if error.code == 404 or re.search(API_NOT_ENABLED, refusal, re.IGNORECASE):
                return None
            asked = gcloud("auth", "print-access-token", project=project)
            raise CommandFailed(
                asked, Answer(status=1, out="", errors=f"GET {base}/v1/{name}: status {error.code}\n{refusal}")
            ) from error


def local_environment() -> dict[str, str]:
    """This process's environment without the session store's address, which no command needs."""
    return {name: value for name, value in os.environ.items() if name != "ENGINE_STORE"}
