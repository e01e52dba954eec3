"""What tests of alerts look at, and what they change of an account."""

from typing import Any

from core import schema
from core.alert_types import AlertType
from tests.backend.world import Document, World


def standing(world: World, code: AlertType) -> Document:
    found = world.alert_of(code, world.account)
    assert found is not None, f"there is no alert {code}"
    return found


def is_open(world: World, code: AlertType) -> bool:
    return standing(world, code)["resolvedAt"] is None


def set_account(world: World, **fields: Any) -> None:
    world.db.collection(schema.ACCOUNTS).document(world.account).update(fields)


def set_lease(world: World, **fields: Any) -> None:
    world.db.collection(schema.LEASES).document(world.account).update(fields)
