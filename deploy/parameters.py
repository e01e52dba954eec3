"""The parameters of a deploy: reads and checks the command line of `python -m deploy`."""

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.deployment import DEFAULT_DATABASE, DEFAULT_REGION, Deployment, InvalidDeployment

STORE_VARIABLE = "ENGINE_STORE"
PLACEHOLDER_NUMBER = "999999999999"
"""A dry run uses it in place of the project's number, since a dry run asks Google Cloud nothing."""
_POSTGRESQL = re.compile(r"postgres(ql)?://\S+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_ACCOUNT = re.compile(r"[A-Za-z0-9-]{1,64}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IMAGE = re.compile(r"[a-z0-9.-]+(/[\w.-]+)+(:[\w.-]+|@sha256:[0-9a-f]{64})")


class WrongUsage(Exception):
    """A parameter is missing or malformed. The message names it, with an example."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    project: str
    region: str = DEFAULT_REGION
    database: str = DEFAULT_DATABASE
    shards: int = 1
    store: str | None = field(default=None, repr=False)
    """The address of the operator's own PostgreSQL, with its password; None for Cloud SQL."""
    admin: str | None = None
    """The e-mail of the first super-admin."""
    account: str | None = None
    """The id of the first WhatsApp account."""
    tag: str | None = None
    image: str | None = None
    """An existing image of the connector; None to build one."""
    is_dry: bool = False
    pause_s: float = 15.0
    """The pause between two attempts of a command that Google is not ready for."""

    def deployment(self, project_number: str) -> Deployment:
        """Raises WrongUsage."""
        try:
            return Deployment(
                project=self.project,
                project_number=project_number,
                region=self.region,
                database=self.database,
                shards=self.shards,
                uses_cloud_sql=self.store is None,
            )
        except InvalidDeployment as error:
            raise WrongUsage(str(error)) from error


def read_parameters(arguments: Sequence[str], store_from_environment: str | None) -> Parameters:
    """Raises WrongUsage, and SystemExit for --help."""
    named = parser().parse_args(arguments)
    parameters = Parameters(
        project=named.project,
        region=named.region or DEFAULT_REGION,
        database=named.database or DEFAULT_DATABASE,
        shards=_shards(named.shards),
        store=_store(named.store, store_from_environment),
        admin=_matching("admin", named.admin, _EMAIL, "you@example.com"),
        account=_matching("account", named.account, _ACCOUNT, "sales-1"),
        tag=_matching("tag", named.tag, _TAG, "v1"),
        image=_matching("image", named.image, _IMAGE, "europe-docker.pkg.dev/my-project/repository/connector:v1"),
        is_dry=named.dry,
        pause_s=named.pause,
    )
    parameters.deployment(PLACEHOLDER_NUMBER)
    return parameters


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override] # raises instead of ending the process
        raise WrongUsage(f"{message}; `python -m deploy --help` lists the parameters")


def parser() -> argparse.ArgumentParser:
    made = _Parser(
        prog="python -m deploy", description="Deploys Threadline to a Google Cloud project.", allow_abbrev=False
    )
    made.add_argument("--project", required=True, metavar="ID", help="the Google Cloud project")
    made.add_argument(
        "--region", default="", help=f"the region of functions, connector and database (default: {DEFAULT_REGION})"
    )
    made.add_argument("--database", default="", help=f"the Firestore database (default: {DEFAULT_DATABASE})")
    made.add_argument("--shards", default="", metavar="N", help="the number of connector services (default: 1)")
    made.add_argument(
        "--store",
        default="",
        metavar="FILE",
        help=f"a file with the address of your own PostgreSQL, or set {STORE_VARIABLE} to the address (default: a Cloud SQL instance)",
    )
    made.add_argument(
        "--admin", default="", metavar="EMAIL", help="the first super-admin: a user of Firebase Authentication"
    )
    made.add_argument("--account", default="", metavar="ID", help="the first WhatsApp account")
    made.add_argument("--tag", default="", help="the tag of the connector's image (default: a digest of its sources)")
    made.add_argument("--image", default="", help="an existing image of the connector; none is built")
    made.add_argument("--dry", action="store_true", help="prints every step and command, and runs nothing")
    made.add_argument("--pause", type=float, default=15.0, metavar="SECONDS", help="between two attempts (default: 15)")
    return made


def _shards(value: str) -> int:
    if value and not re.fullmatch(r"[0-9]{1,3}", value):
        raise WrongUsage(f"shards must be a whole number such as 2, not {value!r}")
    return int(value or 1)


def _matching(name: str, value: str, pattern: re.Pattern[str], example: str) -> str | None:
    if value and not pattern.fullmatch(value):
        raise WrongUsage(f"{name} must look like {example}, not {value!r}")
    return value or None


def _store(path: str, from_environment: str | None) -> str | None:
    """Never quotes the address."""
    if "://" in path:
        raise WrongUsage(
            "store must be the path of a file that holds the address: every user of a machine can read a command line. "
            "Change the password that was just shown"
        )
    address = from_environment or ""
    if path:
        try:
            address = Path(path).read_text()
        except OSError as error:
            raise WrongUsage(f"store: {path} cannot be read ({error.strerror})") from error
    address = address.strip()
    if address and not _POSTGRESQL.fullmatch(address):
        raise WrongUsage("store must hold one address such as postgres://USER:PASSWORD@HOST/DATABASE")
    return address or None


def store_from_environment() -> str | None:
    return os.environ.get(STORE_VARIABLE) or None
