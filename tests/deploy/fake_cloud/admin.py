"""The fake `python -m connector.admin`, as far as a deploy calls it. The real one has tests of its own."""

from typing import Any

from tests.deploy.fake_cloud.cloud import Cloud, Refusal


def run(cloud: Cloud, arguments: list[str]) -> Any:
    """`arguments` after `-m connector.admin`. Raises Refusal."""
    option, project, command, *names = arguments
    if option != "--project":
        raise Refusal("the project is missing")
    cloud.need_project(project)
    if command == "make-super-admin":
        if cloud.state["faults"].get("unknown_user"):
            raise Refusal(f"make-super-admin: there is no user {names[0]} in project {project}")
        with cloud.change() as state:
            state["admins"] = sorted({*state["admins"], names[0]})
        return f"{names[0]} is a super-admin of project {project}."
    if command == "create":
        with cloud.change() as state:
            state["whatsapp_accounts"] = sorted({*state["whatsapp_accounts"], names[0]})
        return f"{names[0]} exists."
    if command == "doctor":
        if (status := cloud.state["faults"].get("doctor")) is not None:
            raise Refusal("what the doctor found", status)
        return "all checks passed"
    raise Refusal(f"{command} is no command of the fake connector.admin")
