"""Sets a user's role claim: `python set_role.py <uid or e-mail> employee|superAdmin|none`.

Needs Application Default Credentials of the project (GOOGLE_CLOUD_PROJECT), or FIREBASE_AUTH_EMULATOR_HOST. The user's next ID
token carries the role: after signing in again, or within an hour.
"""

import sys

import firebase_admin
from firebase_admin import auth

from core.access import Role

_NO_ROLE = "none"


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[1] not in [*Role, _NO_ROLE]:
        print(__doc__, file=sys.stderr)  # noqa: T201 - a command speaks to its user
        return 2
    name, role = arguments
    firebase_admin.initialize_app()
    try:
        user = auth.get_user_by_email(name) if "@" in name else auth.get_user(name)
    except auth.UserNotFoundError:
        print(f"There is no user {name} in this project.", file=sys.stderr)  # noqa: T201 - as above
        return 1
    claims = {**(user.custom_claims or {}), "role": role}
    if role == _NO_ROLE:
        del claims["role"]
    auth.set_custom_user_claims(user.uid, claims)
    print(f"{name} is now {'without a role' if role == _NO_ROLE else role}.")  # noqa: T201 - as above
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
