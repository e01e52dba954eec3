"""What a deploy will not touch: rules, functions and secrets that are not Threadline's."""

from typing import Any

import pytest

from deploy.deployment import Deployment
from deploy.released_rules import foreign_rules, paths
from local.project import ROOT
from tests.deploy.conftest import PROJECT, Site

_APPLICATION = """rules_version = '2';
service cloud.firestore { match /databases/{database}/documents {
  match /orders/{order} { allow read: if request.auth != null; }
  match /users/{uid} { allow write: if request.auth.uid == uid; }
} }"""
_LOCKED = """rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    // as the console makes it
    match /{document=**} {
      allow read, write: if false;
    }
  }
}"""
_TEST_MODE = _LOCKED.replace("if false", "if request.time < timestamp.date(2027, 1, 1)")


def with_rules(site: Site, rules: str, database: str = "(default)") -> None:
    """A project that has an application: a database, with its rules."""
    site.cloud.state["apis"] += [
        "firestore.googleapis.com",
        "firebaserules.googleapis.com",
        "cloudfunctions.googleapis.com",
    ]
    site.cloud.state["is_firebase"] = True
    site.cloud.state["databases"][database] = {"type": "FIRESTORE_NATIVE", "locationId": "europe-west1"}
    site.cloud.state["rules"][database] = rules


def test_rules_of_an_application_stop_it_before_anything_is_changed(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    with_rules(site, _APPLICATION)
    assert site.deploy() == 1
    assert site.changes == []
    said = capsys.readouterr().err
    assert "/orders/{}" in said
    assert f"make deploy project={PROJECT} database=threadline" in said


def test_a_named_database_leaves_the_application_as_it_was(site: Site) -> None:
    with_rules(site, _APPLICATION)
    site.cloud.state["indexes"]["(default)"] = [{"collectionGroup": "orders", "queryScope": "COLLECTION", "fields": []}]
    site.cloud.state["functions"]["sendInvoice"] = {"codebase": "default", "region": "europe-west1"}
    state = site.cloud.state
    before = {name: dict(state[name]) for name in ("rules", "indexes", "databases", "functions")}
    assert site.deploy(database="threadline") == 0
    for name, table in before.items():
        for key, value in table.items():
            assert state[name][key] == value, f"{name} {key}"
    assert state["rules"]["threadline"]
    assert state["functions"]["threadlineSend"]["parameters"]["FIRESTORE_DATABASE"] == "threadline"
    users = [binding for binding in state["policies"]["project"] if binding["role"] == "roles/datastore.user"]
    assert [each["condition"]["expression"] for each in users] == [
        f'resource.name == "projects/{PROJECT}/databases/threadline"'
    ]


def test_indexes_that_firestore_indexes_json_does_not_name_stay(site: Site) -> None:
    with_rules(site, _LOCKED)
    foreign = {"collectionGroup": "orders", "queryScope": "COLLECTION", "fields": []}
    site.cloud.state["indexes"]["(default)"] = [foreign]
    assert site.deploy() == 0
    assert foreign in site.cloud.state["indexes"]["(default)"]


def test_a_function_of_another_codebase_with_our_prefix_stops_it(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    with_rules(site, _LOCKED)
    site.cloud.state["functions"]["threadlineSend"] = {"codebase": "default", "region": "europe-west1"}
    assert site.deploy() == 1
    assert site.changes == []
    assert "threadlineSend in europe-west1 is not Threadline's" in capsys.readouterr().err


def test_another_region_than_the_functions_stops_it(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.deploy() == 0
    made = len(site.changes)
    assert site.deploy(region="us-central1") == 1
    assert site.changes[made:] == []
    assert "deploy with region=europe-west1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("first", "second", "advice"),
    [
        ({"database": "threadline"}, {}, "deploy with database=threadline"),
        ({"shards": 2}, {}, "deploy with shards=2"),
        ({"store": "postgres://engine:correct-horse@db.example.com/engine"}, {}, "deploy with store=FILE"),
        ({}, {"store": "postgres://engine:correct-horse@db.example.com/engine"}, "deploy with no store="),
    ],
    ids=["database", "shards", "own PostgreSQL", "Cloud SQL"],
)
def test_a_parameter_that_was_left_out_stops_it_before_anything_is_changed(
    site: Site, first: dict[str, Any], second: dict[str, Any], advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site.deploy(**first) == 0
    made = len(site.changes)
    assert site.deploy(**second) == 1
    assert site.changes[made:] == []
    assert advice in capsys.readouterr().err


def test_a_database_in_datastore_mode_stops_it(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    with_rules(site, _LOCKED)
    site.cloud.state["databases"]["(default)"]["type"] = "DATASTORE_MODE"
    assert site.deploy() == 1
    assert "database=threadline" in capsys.readouterr().err


def test_a_secret_of_somebody_else_is_not_read_or_changed(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = {"labels": {}, "versions": [{"state": "ENABLED", "value": "another application's key"}]}
    site.cloud.state["secrets"]["THREADLINE_LOG_HASH_KEY"] = theirs
    assert site.deploy() == 1
    assert site.cloud.state["secrets"]["THREADLINE_LOG_HASH_KEY"] == theirs
    assert "--update-labels=threadline=deploy" in capsys.readouterr().err


def test_a_secret_in_plain_text_among_the_parameters_stops_it_unquoted(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.folder / f"functions/.env.{PROJECT}").write_text("THREADLINE_LOG_HASH_KEY=plain-text-key\n")
    assert site.deploy() == 1
    said = capsys.readouterr().err
    assert "THREADLINE_LOG_HASH_KEY in plain text" in said
    assert "plain-text-key" not in said + "".join(site.said)


@pytest.mark.parametrize(
    ("rules", "is_foreign"),
    [
        (None, False),
        ("", False),
        (_LOCKED, False),
        ((ROOT / "firestore.rules").read_text(), False),
        (_TEST_MODE, True),
        (_APPLICATION, True),
        (
            (ROOT / "firestore.rules")
            .read_text()
            .replace("match /whatsapp_outbox/", "match /orders/{o} { }\n match /whatsapp_outbox/", 1),
            True,
        ),
    ],
    ids=["none", "empty", "locked", "ours", "test mode", "an application's", "merged"],
)
def test_only_rules_that_open_nothing_else_may_be_replaced(rules: str | None, is_foreign: bool) -> None:
    here = Deployment(project=PROJECT, project_number="1")
    assert (foreign_rules(rules, (ROOT / "firestore.rules").read_text(), here) is not None) is is_foreign


def test_paths_are_compared_without_their_variables_names() -> None:
    assert paths("match /a/{x}/b/{y} { match /{z=**} {} } // match /c/{d}") == {"/a/{}/b/{}", "/{=**}"}
