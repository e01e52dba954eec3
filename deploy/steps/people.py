"""The steps that run `python -m connector.admin`: the first super-admin, the first account, and the doctor."""

from deploy.command import PYTHON, Command
from deploy.deployment import Deployment
from deploy.step import Item, Step

_NOT_CHECKED = 2
"""The doctor's exit status if no check found a fault but some could not be made (connector/admin/endings.py)."""


def admin_step(deployment: Deployment, email: str) -> Step:
    return Step(
        name="first super-admin",
        why="may pair phones, and sees alerts and health",
        items=(Item(name=email, commands=(_admin(deployment, "make-super-admin", email),)),),
        advice=(
            "Turn Authentication on (https://console.firebase.google.com, Authentication, Get started); the person must have signed in "
            "once, or be added there under Users."
        ),
    )


def account_step(deployment: Deployment, account: str) -> Step:
    return Step(
        name="first account",
        why="creates a WhatsApp account, ready to be paired with a phone",
        items=(Item(name=account, commands=(_admin(deployment, "create", account),)),),
    )


def doctor_step(deployment: Deployment) -> Step:
    """The deploy does not fail because of a check that cannot be made yet, such as one that needs a paired phone."""
    return Step(
        name="doctor",
        why="checks the whole deployment, with a signed call in each direction",
        items=(
            Item(
                name="the table of checks",
                commands=(
                    _admin(
                        deployment, "doctor", f"--region={deployment.region}", prints=True, accepts=(0, _NOT_CHECKED)
                    ),
                ),
            ),
        ),
        advice="Each line that failed says what to do. Everything is deployed; the same check alone: python -m connector.admin doctor",
    )


def _admin(deployment: Deployment, *words: str, prints: bool = False, accepts: tuple[int, ...] = (0,)) -> Command:
    return Command(
        arguments=(PYTHON, "-m", "connector.admin", "--project", deployment.project, *words),
        environment={"FIRESTORE_DATABASE": deployment.database},
        prints=prints,
        accepts=accepts,
    )
