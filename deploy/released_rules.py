"""Whose security rules are released: Threadline's, nobody's, or an application's."""

import re

from deploy.deployment import Deployment

_COMMENTS = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_MATCHES = re.compile(r"\bmatch\s+(/[^\s{}]*(?:\{[^{}]*\}[^\s{}]*)*)")
_DATABASE = "/databases/{}/documents"
_DENIES_ALL = re.compile(
    r"(rules_version='[12]';)?servicecloud\.firestore\{match/databases/\{\w+\}/documents\{"
    r"match/\{\w+=\*\*\}\{allowread,write:iffalse;\}\}\}"
)
"""The rules that the Firebase console releases for a new database. No application can depend on them."""


def foreign_rules(released: str | None, own: str, deployment: Deployment) -> str | None:
    """Why `own` must not replace the released rules, or None. It may if the released rules match only paths that `own` matches."""
    if released is None or _denies_everything(released):
        return None
    others = sorted(paths(released) - paths(own))
    if not others:
        return None
    what = f"has security rules of another application (they match {', '.join(others[:3])}), and a deploy would replace them"
    if deployment.has_named_database:
        return (
            f"the database {deployment.database} of {deployment.project} {what}. Name another one: database=threadline"
        )
    return (
        f"the default database of {deployment.project} {what}. Give Threadline a database of its own: "
        f"make deploy project={deployment.project} database=threadline"
    )


def paths(rules: str) -> set[str]:
    """The paths that the rules match, without the names of variables: `/users/{}/whatsapp_thread_prefs/{}`. A `**` stays."""
    found = {re.sub(r"\{\w+(=\*\*)?\}", r"{\1}", path) for path in _MATCHES.findall(_COMMENTS.sub("", rules))}
    return found - {_DATABASE}


def _denies_everything(rules: str) -> bool:
    plain = re.sub(r"\s+", "", _COMMENTS.sub("", rules)).replace('"', "'")
    return plain == "" or _DENIES_ALL.fullmatch(plain) is not None
