"""Generates the tables of README.md and docs/deploy.md: `python -m deploy.tables` writes them, `--check` fails if they are out of date."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from deploy.deployment import Account, Deployment
from deploy.parameters import PLACEHOLDER_NUMBER, Parameters, parser
from deploy.plan import plan
from deploy.resources import APIS, SECRETS, SERVICE_ACCOUNTS
from deploy.roles import DEPLOYER_ROLES, Grant, GrantedBy, Kind, grants

ROOT = Path(__file__).resolve().parent.parent
_EXAMPLE = Deployment(project="project-id", project_number="1", shards=1)
_NUMBER = "PROJECT_NUMBER"


def roles_table() -> str:
    """Threadline's own four accounts: what each may do, and on what."""
    mine = [grant for grant in grants(_EXAMPLE) if _account(grant) is not None and grant.granted_by is GrantedBy.DEPLOY]
    return _table(
        ("account", "role", "on", "in order to"),
        ((f"`{_account(grant)}`", f"`{grant.role}`", _on(grant), grant.why) for grant in mine),
    )


def roles_summary() -> str:
    """One row for each account."""
    rows = []
    for one in SERVICE_ACCOUNTS:
        roles: dict[str, list[str]] = {}
        for grant in grants(_EXAMPLE):
            if _account(grant) is one.account:
                roles.setdefault(grant.role.removeprefix("roles/"), []).append(_named(grant))
        described = "; ".join(f"`{role}` on {', '.join(names)}" for role, names in roles.items())
        rows.append((f"`{one.account}`", one.why, described))
    return _table(("account", "what it is", "its roles"), rows)


def steps_table() -> str:
    parameters = Parameters(project=_EXAMPLE.project, admin="you@example.com", account="sales-1")
    steps = plan(parameters, parameters.deployment(PLACEHOLDER_NUMBER), ROOT)
    return _table(
        ("step", "why", "takes"),
        ((f"{number}. {step.name}", step.why, step.takes) for number, step in enumerate(steps, start=1)),
    )


def parameters_table() -> str:
    actions = [action for action in parser()._actions if action.dest not in ("help", "pause")]
    return _table(
        ("parameter of `make deploy`", "meaning"),
        (
            (
                f"`{action.dest}={action.metavar or ('1' if action.dest == 'dry' else action.dest.upper())}`",
                str(action.help),
            )
            for action in actions
        ),
    )


def other_roles_table() -> str:
    """Google's own accounts, and everybody: what a deploy changes for them."""
    others = [grant for grant in grants(_EXAMPLE) if _account(grant) is None and grant.member != "allUsers"]
    callables = next(grant for grant in grants(_EXAMPLE) if grant.member == "allUsers")
    return _table(
        ("member", "role", "on", "granted by", "why"),
        (
            *(
                (f"`{_member(grant)}`", f"`{grant.role}`", _on(grant), str(grant.granted_by), grant.why)
                for grant in others
            ),
            ("`allUsers`", f"`{callables.role}`", "each callable's service", str(callables.granted_by), callables.why),
        ),
    )


def deployer_roles_table() -> str:
    return _table(("role", "in order to"), ((f"`{role}`", why) for role, why in DEPLOYER_ROLES.items()))


def apis_table() -> str:
    return _table(
        ("API", "for"),
        ((f"`{api.name}`", api.why + (" (only with Cloud SQL)" if api.only_with_cloud_sql else "")) for api in APIS),
    )


def accounts_table() -> str:
    return _table(("service account", "what it is"), ((f"`{one.account}@`", one.why) for one in SERVICE_ACCOUNTS))


def secrets_table() -> str:
    return _table(
        ("secret", "what it is", "read by", "value"),
        (
            (
                f"`{secret.name}`",
                secret.why,
                ", ".join(f"`{reader}`" for reader in secret.readers),
                "generated" if secret.is_generated else "Cloud SQL's with a generated password, or the given one",
            )
            for secret in SECRETS
        ),
    )


TABLES = {
    "steps": steps_table,
    "parameters": parameters_table,
    "roles-summary": roles_summary,
    "roles": roles_table,
    "other-roles": other_roles_table,
    "deployer-roles": deployer_roles_table,
    "apis": apis_table,
    "service-accounts": accounts_table,
    "secrets": secrets_table,
}
PAGES = (ROOT / "README.md", ROOT / "docs/deploy.md")


def with_tables(page: str) -> str:
    """The page with current tables between its markers. Raises ValueError if a marker is unknown or not closed."""
    lines = iter(page.splitlines(keepends=True))
    return "".join(_filled(lines))


def _filled(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line
        if not line.startswith("<!-- table: "):
            continue
        name = line.removeprefix("<!-- table: ").split(";")[0].removesuffix("-->\n").strip()
        if name not in TABLES:
            raise ValueError(f"there is no table {name!r}")
        yield TABLES[name]()
        yield _close(name, lines)


def _close(name: str, lines: Iterator[str]) -> str:
    for line in lines:
        if line.startswith("<!-- end of table"):
            return line
    raise ValueError(f"the marker of table {name!r} is not closed")


def _account(grant: Grant) -> Account | None:
    found = [account for account in Account if grant.member == f"serviceAccount:{_EXAMPLE.email(account)}"]
    return found[0] if found else None


def _member(grant: Grant) -> str:
    number = _EXAMPLE.project_number
    return (
        grant.member.removeprefix("serviceAccount:")
        .replace(f"service-{number}@", f"service-{_NUMBER}@")
        .replace(f"{number}-compute@", f"{_NUMBER}-compute@")
    )


def _on(grant: Grant) -> str:
    if grant.resource.kind is Kind.PROJECT:
        return "the project"
    return f"the {grant.resource.kind} {_named(grant)}"


def _named(grant: Grant) -> str:
    if grant.resource.kind is Kind.PROJECT:
        return "the project"
    if grant.resource.name == _EXAMPLE.connector_services[0]:
        return "`threadline-connector-SHARD`"
    return f"`{grant.resource.name.removesuffix(f'@{_EXAMPLE.project}.iam.gserviceaccount.com')}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main(arguments: list[str]) -> int:
    stale = []
    for page in PAGES:
        present = page.read_text()
        wanted = with_tables(present)
        if present != wanted:
            stale.append(page)
            if "--check" not in arguments:
                page.write_text(wanted)
    if stale and "--check" in arguments:
        names = ", ".join(page.name for page in stale)
        print(f"{names}: run `python -m deploy.tables`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
