"""Who may do what: the roles of the custom claims."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who is signed in."""

    uid: str
    email: str | None


class Role(StrEnum):
    EMPLOYEE = "employee"
    SUPER_ADMIN = "superAdmin"


def role_of(claims: Mapping[str, object]) -> Role | None:
    """The role claim, which must be one of the two strings: a list, a map or `true` is no role."""
    claim = claims.get("role")
    return Role(claim) if isinstance(claim, str) and claim in (Role.EMPLOYEE, Role.SUPER_ADMIN) else None


def is_employee(claims: Mapping[str, object]) -> bool:
    """Super-admins are employees too."""
    return role_of(claims) is not None


def is_super_admin(claims: Mapping[str, object]) -> bool:
    return role_of(claims) is Role.SUPER_ADMIN
