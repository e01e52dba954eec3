"""Functions, connector and command line use one key for hashes, whichever variables their environments have."""

import pytest

from core.log_hash import NoLogHashKey, log_hash_key


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ({"THREADLINE_LOG_HASH_KEY": "secret", "GOOGLE_CLOUD_PROJECT": "project"}, "secret"),
        ({"THREADLINE_LOG_HASH_KEY": "secret\n", "GCLOUD_PROJECT": "project"}, "secret"),
        ({"THREADLINE_LOG_HASH_KEY": "", "GCLOUD_PROJECT": "project"}, "project"),
        ({"THREADLINE_LOG_HASH_KEY": " \n", "GOOGLE_CLOUD_PROJECT": "project"}, "project"),
        ({"GOOGLE_CLOUD_PROJECT": "project"}, "project"),
        ({"GCLOUD_PROJECT": "project"}, "project"),
    ],
)
def test_the_key_is_the_secret_or_else_the_projects_id_under_either_name(environment: dict[str, str], key: str) -> None:
    assert log_hash_key(environment) == key


def test_an_empty_key_is_never_used() -> None:
    with pytest.raises(NoLogHashKey, match="THREADLINE_LOG_HASH_KEY"):
        log_hash_key({"THREADLINE_LOG_HASH_KEY": "", "GOOGLE_CLOUD_PROJECT": ""})
