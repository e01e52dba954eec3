"""The fake `gcloud`, continued: secrets, Cloud SQL, Firestore."""

from typing import Any

from tests.deploy.fake_cloud.cloud import Cloud, Refusal
from tests.deploy.fake_cloud.command_line import Line
from tests.deploy.fake_cloud.gcloud import Handlers

handles = Handlers()
HANDLERS = handles.by_command


@handles("secrets list")
def _secrets(cloud: Cloud, _line: Line, _: str | None) -> Any:
    return [
        {"name": f"projects/{cloud.number}/secrets/{name}", "labels": secret["labels"]}
        for name, secret in cloud.state["secrets"].items()
    ]


@handles("secrets create")
def _create_secret(cloud: Cloud, line: Line, _: str | None) -> Any:
    if line.name in cloud.state["secrets"]:
        raise Refusal(f"ALREADY_EXISTS: Secret [{line.name}] already exists")
    if line.need("replication-policy") == "user-managed":
        line.need("locations")
    with cloud.change() as state:
        state["secrets"][line.name] = {"labels": _labels(line.flags.get("labels", "")), "versions": []}


@handles("secrets update")
def _update_secret(cloud: Cloud, line: Line, _: str | None) -> Any:
    with cloud.change():
        _secret(cloud, line.name)["labels"].update(_labels(line.flags.get("update-labels", "")))


@handles("secrets versions list")
def _versions(cloud: Cloud, line: Line, _: str | None) -> Any:
    versions = _secret(cloud, line.name)["versions"]
    return [{"name": str(at), "state": version["state"]} for at, version in enumerate(versions, start=1)]


@handles("secrets versions add")
def _add_version(cloud: Cloud, line: Line, given: str | None) -> Any:
    if line.need("data-file") != "-":
        raise Refusal("a secret in a file of a machine")
    if not given:
        raise Refusal("The data is empty")
    with cloud.change():
        _secret(cloud, line.name)["versions"].append({"state": "ENABLED", "value": given})


@handles("secrets versions access")
def _access(cloud: Cloud, line: Line, _: str | None) -> Any:
    versions = _secret(cloud, line.need("secret"))["versions"]
    if not versions:
        raise Refusal(f"NOT_FOUND: Secret {line.flags['secret']} has no versions")
    return str(versions[-1]["value"])


def _secret(cloud: Cloud, name: str) -> dict[str, Any]:
    if name not in cloud.state["secrets"]:
        raise Refusal(f"NOT_FOUND: Secret [{name}] not found")
    found: dict[str, Any] = cloud.state["secrets"][name]
    return found


def _labels(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(",") if part)


@handles("sql instances list")
def _instances(cloud: Cloud, _line: Line, _: str | None) -> Any:
    return [_shown_instance(name, each) for name, each in cloud.state["sql"].items()]


@handles("sql instances describe")
def _describe_instance(cloud: Cloud, line: Line, _: str | None) -> Any:
    return _shown_instance(line.name, _instance(cloud, line.name))


def _shown_instance(name: str, each: dict[str, Any]) -> Any:
    shown = {"state": each.get("state", "RUNNABLE"), "databaseVersion": each["version"]}
    return {"name": name, **shown, "settings": each["settings"]}


@handles("sql instances create")
def _create_instance(cloud: Cloud, line: Line, _: str | None) -> Any:
    if line.name in cloud.state["sql"]:
        raise Refusal("the Cloud SQL instance already exists")
    for flag in ("database-version", "region", "tier"):
        line.need(flag)
    settings = {
        "backupConfiguration": {
            "enabled": "backup" in line.flags,
            "pointInTimeRecoveryEnabled": "enable-point-in-time-recovery" in line.flags,
        },
        "deletionProtectionEnabled": "deletion-protection" in line.flags,
        "availabilityType": line.flags.get("availability-type", "zonal").upper(),
    }
    with cloud.change() as state:
        state["sql"][line.name] = {
            "version": line.flags["database-version"],
            "settings": settings,
            "databases": ["postgres"],
            "users": {"postgres": ""},
        }


@handles("sql databases list")
def _databases(cloud: Cloud, line: Line, _: str | None) -> Any:
    return [{"name": name} for name in _instance(cloud, line.need("instance"))["databases"]]


@handles("sql databases create")
def _create_database(cloud: Cloud, line: Line, _: str | None) -> Any:
    databases = _instance(cloud, line.need("instance"))["databases"]
    if line.name in databases:
        raise Refusal(f'database "{line.name}" already exists')
    with cloud.change():
        databases.append(line.name)


@handles("sql users list")
def _users(cloud: Cloud, line: Line, _: str | None) -> Any:
    return [{"name": name} for name in _instance(cloud, line.need("instance"))["users"]]


@handles("sql users create")
def _create_user(cloud: Cloud, line: Line, _: str | None) -> Any:
    users = _instance(cloud, line.need("instance"))["users"]
    if line.name in users:
        raise Refusal("the user already exists")
    with cloud.change():
        users[line.name] = line.need("password")


@handles("sql users set-password")
def _set_password(cloud: Cloud, line: Line, _: str | None) -> Any:
    users = _instance(cloud, line.need("instance"))["users"]
    if line.name not in users:
        raise Refusal(f"NOT_FOUND: user {line.name}")
    with cloud.change():
        users[line.name] = line.need("password")


def _instance(cloud: Cloud, name: str) -> dict[str, Any]:
    if name not in cloud.state["sql"]:
        raise Refusal(f"NOT_FOUND: the Cloud SQL instance {name} does not exist")
    found: dict[str, Any] = cloud.state["sql"][name]
    return found


@handles("firestore databases list")
def _firestore_databases(cloud: Cloud, _line: Line, _: str | None) -> Any:
    return [
        {"name": f"projects/{cloud.project}/databases/{name}", **each}
        for name, each in cloud.state["databases"].items()
    ]


@handles("firestore databases describe")
def _describe_database(cloud: Cloud, line: Line, _: str | None) -> Any:
    name = line.flags.get("database", "(default)")
    return {"name": f"projects/{cloud.project}/databases/{name}", **_database(cloud, name)}


@handles("firestore databases create")
def _create_firestore(cloud: Cloud, line: Line, _: str | None) -> Any:
    name = line.flags.get("database", "(default)")
    if name in cloud.state["databases"]:
        raise Refusal("ALREADY_EXISTS: Database already exists")
    with cloud.change() as state:
        state["databases"][name] = {
            "type": line.flags.get("type", "firestore-native").upper().replace("-", "_"),
            "locationId": line.need("location"),
            **_protection(line),
        }


@handles("firestore databases update")
def _update_firestore(cloud: Cloud, line: Line, _: str | None) -> Any:
    with cloud.change():
        _database(cloud, line.need("database")).update(_protection(line))


@handles("firestore backups schedules list")
def _schedules(cloud: Cloud, line: Line, _: str | None) -> Any:
    _database(cloud, line.need("database"))
    return cloud.state["schedules"].get(line.flags["database"], [])


@handles("firestore backups schedules create")
def _create_schedule(cloud: Cloud, line: Line, _: str | None) -> Any:
    _database(cloud, line.need("database"))
    recurrence = f"{line.need('recurrence')}Recurrence"
    schedules = cloud.state["schedules"].setdefault(line.flags["database"], [])
    if any(recurrence in schedule for schedule in schedules):
        raise Refusal("ALREADY_EXISTS: there is a schedule of this recurrence")
    with cloud.change():
        schedules.append({recurrence: {}, "retention": line.need("retention")})


@handles("firestore indexes composite list")
def _indexes(cloud: Cloud, line: Line, _: str | None) -> Any:
    """The collection group stands in the name alone, and the document's name is each index's last field."""
    place = f"projects/{cloud.project}/databases/{line.need('database')}"
    return [
        {
            "name": f"{place}/collectionGroups/{index['collectionGroup']}/indexes/CICAgO{number}",
            "queryScope": index["queryScope"],
            "fields": [
                *index["fields"],
                {"fieldPath": "__name__", "order": index["fields"][-1].get("order", "ASCENDING")},
            ],
            "state": index.get("state", "READY"),
        }
        for number, index in enumerate(cloud.state["indexes"].get(line.flags["database"], []))
    ]


@handles("firestore fields ttls list")
def _ttls(cloud: Cloud, line: Line, _: str | None) -> Any:
    place = f"projects/{cloud.project}/databases/{line.need('database')}"
    return [
        {"name": f"{place}/collectionGroups/{group}/fields/{field}", "ttlConfig": {"state": "ACTIVE"}}
        for group, field in cloud.state["ttls"].get(line.flags["database"], [])
    ]


def _database(cloud: Cloud, name: str) -> dict[str, Any]:
    if name not in cloud.state["databases"]:
        raise Refusal(f"NOT_FOUND: database {name} does not exist")
    found: dict[str, Any] = cloud.state["databases"][name]
    return found


def _protection(line: Line) -> dict[str, str]:
    pitr = "ENABLED" if "enable-pitr" in line.flags else "DISABLED"
    delete = "ENABLED" if "delete-protection" in line.flags else "DISABLED"
    return {
        "pointInTimeRecoveryEnablement": f"POINT_IN_TIME_RECOVERY_{pitr}",
        "deleteProtectionState": f"DELETE_PROTECTION_{delete}",
    }
