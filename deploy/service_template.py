"""Renders a connector service's YAML from its template. Every `${...}` variable must have a value, and every value must be used."""

import hashlib
import re

from deploy.deployment import Account, Deployment, connector_service
from deploy.resources import FLUSH_FUNCTION

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_ONLY_WITH_CLOUD_SQL = "# only with Cloud SQL"
_ATTEMPT = "ATTEMPT"
_DIGEST = "DIGEST"
_DIGEST_DIGITS = 40
"""A label's value has 63 characters at most."""


class UnfitTemplate(ValueError):
    """The template and the values do not fit each other. The message names the variables."""


def render(template: str, deployment: Deployment, shard: int, image: str, attempt: str = "1") -> str:
    """The digest does not depend on `attempt`. Raises UnfitTemplate."""
    kept = "".join(
        line
        for line in template.splitlines(keepends=True)
        if deployment.uses_cloud_sql or not line.rstrip().endswith(_ONLY_WITH_CLOUD_SQL)
    )
    values = _values(deployment, shard, image)
    undigested = fill(kept, {**values, _ATTEMPT: "", _DIGEST: ""})
    return fill(
        kept, {**values, _ATTEMPT: attempt, _DIGEST: hashlib.sha256(undigested.encode()).hexdigest()[:_DIGEST_DIGITS]}
    )


def fill(template: str, values: dict[str, str]) -> str:
    """Comments keep their `${...}`. Raises UnfitTemplate."""
    lines = template.splitlines(keepends=True)
    named = {name for line in lines if not _is_comment(line) for name in _VARIABLE.findall(line)}
    if missing := named - values.keys():
        raise UnfitTemplate(f"the template has variables without a value: {', '.join(sorted(missing))}")
    if unused := values.keys() - named:
        raise UnfitTemplate(f"the template lacks variables: {', '.join(sorted(unused))}")
    return "".join(
        line if _is_comment(line) else _VARIABLE.sub(lambda found: values[found.group(1)], line) for line in lines
    )


def digest_of(rendered: str) -> str:
    """The label `threadline-template` of a rendered service."""
    found = re.search(r'threadline-template: "([0-9a-f]+)"', rendered)
    if found is None:
        raise UnfitTemplate("the template has no label threadline-template")
    return found.group(1)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _values(deployment: Deployment, shard: int, image: str) -> dict[str, str]:
    values = {
        "SERVICE": connector_service(shard),
        "PROJECT": deployment.project,
        "REGION": deployment.region,
        "FIRESTORE_DATABASE": deployment.database,
        "IMAGE": image,
        "PUBLIC_ENDPOINT": deployment.connector_endpoint(shard),
        "FLUSH_URL": deployment.function_url(FLUSH_FUNCTION),
        "SERVICE_ACCOUNT": deployment.email(Account.CONNECTOR),
        "FUNCTIONS_SERVICE_ACCOUNT": deployment.email(Account.FUNCTIONS),
    }
    if deployment.uses_cloud_sql:
        values["SQL_CONNECTION"] = deployment.sql_connection
    return values
