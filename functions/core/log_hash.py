"""How logs name threads, requests and rows: their ids hold phone numbers, so a log carries a short keyed hash instead."""

import hashlib
import hmac
from collections.abc import Mapping

_LENGTH = 12


class NoLogHashKey(Exception):
    """Neither a key nor a project id is set. Without a key, anybody could compute the hashes."""


def log_hash_key(environment: Mapping[str, str]) -> str:
    """The key of functions, connector and command line: THREADLINE_LOG_HASH_KEY, a secret; where there is none, the project's id, with
    which whoever reads the logs can try out numbers. Raises NoLogHashKey.

    GCLOUD_PROJECT is the name that firebase-tools gives the project's id in a deployed function. White space around a secret is
    not part of it: a shell drops the line's end that a secret from a file has.
    """
    for name in ("THREADLINE_LOG_HASH_KEY", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        if value := environment.get(name, "").strip():
            return value
    raise NoLogHashKey("set THREADLINE_LOG_HASH_KEY, or GOOGLE_CLOUD_PROJECT or GCLOUD_PROJECT")


def keyed_hash(key: str, value: str) -> str:
    """64 hex digits, for document ids in place of a number or a person's uid."""
    return hmac.new(key.encode(), value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def log_hash(key: str, value: str) -> str:
    """Twelve hex digits, the same for the same id within a project; whoever holds the key and the id can compare."""
    return keyed_hash(key, value)[:_LENGTH]
