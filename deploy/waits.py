"""The changes that take effect at Google only after minutes, by the error that Google answers with until then."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Wait:
    pattern: re.Pattern[str]
    reason: str
    limit_s: float


def _wait(pattern: str, reason: str, limit_s: float) -> Wait:
    return Wait(pattern=re.compile(pattern, re.IGNORECASE | re.DOTALL), reason=reason, limit_s=limit_s)


API_NOT_ENABLED = (
    r"SERVICE_DISABLED|has not been used in project|API .{0,120}(is|are) (not enabled|disabled)|not enabled on project"
)

WAITS = (
    _wait(API_NOT_ENABLED, "an API that was just enabled does not work everywhere yet", 600),
    _wait(
        r"Eventarc Service Agent|recently started to use Eventarc",
        "Eventarc's service agent has no permissions yet, which takes some minutes in a project that never used it",
        900,
    ),
    _wait(
        r"service account.{0,160}does not exist|unknown service account",
        "a service account that was just created is not known everywhere yet",
        180,
    ),
    _wait(
        r"permission denied on secret|does not have storage\.objects\.get|access to bucket .{0,120}denied|denied on resource.{0,200}cloudbuild",
        "a role that was just granted does not apply everywhere yet",
        420,
    ),
    _wait(
        r"another operation|operation.{0,40}in progress",
        "an earlier change of the same resource is still under way",
        900,
    ),
    _wait(r"concurrent policy change|ABORTED", "somebody else changed the same policy at the same moment", 120),
    _wait(r"RESOURCE_EXHAUSTED|rate limit|\b429\b", "a quota of requests per minute is used up", 180),
    _wait(r"\bUNAVAILABLE\b|\b503\b|connection reset|timed out", "a Google service did not answer", 180),
)


def wait_for(errors: str) -> Wait | None:
    """The wait that fits an error, or None if waiting does not help."""
    for wait in WAITS:
        if wait.pattern.search(errors):
            return wait
    return None
