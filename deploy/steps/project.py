"""The steps of the project itself: credentials, safety, APIs, Google's service agents, and Firebase."""

from collections.abc import Callable
from typing import Any

from deploy.command import FIREBASE, GCLOUD, Command, gcloud
from deploy.deployment import Deployment
from deploy.former_deploy import objection_to_functions, objection_to_store
from deploy.released_rules import foreign_rules
from deploy.resources import APIS, FUNCTION_PREFIX, SERVICE_AGENT_APIS
from deploy.step import Item, Lookup, Step
from deploy.waits import API_NOT_ENABLED

_MOST_APIS_A_CALL = 20
"""https://cloud.google.com/service-usage/docs/reference/rest/v1/services/batchEnable"""


def describe(project: str) -> Command:
    return gcloud("projects", "describe", project, project=project)


def credentials_step(project: str) -> Step:
    """Checks that the operator is signed in. Only this program sees the printed token."""
    token = Command(
        arguments=(GCLOUD, "auth", "application-default", "print-access-token", "--quiet"), is_answer_secret=True
    )
    return Step(
        name="credentials",
        why="gcloud, firebase and Threadline's command line act as you",
        items=(
            Item(name=f"gcloud knows the project {project}", look=describe(project), is_done=bool),
            Item(name="application default credentials", commands=(token,)),
        ),
        advice="Run `gcloud auth login` and `gcloud auth application-default login`; look whether the project's id is right.",
    )


def safety_step(deployment: Deployment, own_rules: str) -> Step:
    """Stops the deploy before it changes anything, where it would harm something. `own_rules` is the text of firestore.rules."""
    project = deployment.project
    return Step(
        name="safety",
        why="stops if the deploy would replace something that is not Threadline's",
        items=(
            Item(
                name=f"the rules of database {deployment.database} are Threadline's, or there are none",
                look=Lookup(
                    description=f"GET the released security rules of {project}, database {deployment.database}",
                    ask=lambda tools: tools.rules(project, deployment.database),
                ),
                is_done=lambda _: True,
                objection=lambda rules: foreign_rules(rules, own_rules, deployment),
            ),
            Item(
                name=f"no function of another codebase begins with {FUNCTION_PREFIX}, and Threadline's have these parameters",
                look=gcloud("functions", "list", project=project, empty_if=API_NOT_ENABLED),
                is_done=lambda _: True,
                objection=lambda functions: objection_to_functions(functions, deployment),
            ),
            Item(
                name="the session store is that of the last deploy",
                look=gcloud("secrets", "list", project=project, empty_if=API_NOT_ENABLED),
                is_done=lambda _: True,
                objection=lambda secrets: objection_to_store(secrets, deployment),
            ),
        ),
        advice="Nothing was changed.",
    )


def apis_step(deployment: Deployment) -> Step:
    wanted = [api.name for api in APIS if deployment.uses_cloud_sql or not api.only_with_cloud_sql]
    parts = [wanted[at : at + _MOST_APIS_A_CALL] for at in range(0, len(wanted), _MOST_APIS_A_CALL)]
    enabled = gcloud("services", "list", project=deployment.project, options={"enabled": None})
    return Step(
        name="APIs",
        why="a new project has few APIs enabled",
        takes="some minutes the first time",
        items=tuple(
            Item(
                name=f"{part[0]} and {len(part) - 1} more" if len(part) > 1 else part[0],
                look=enabled,
                is_done=_are_enabled(part),
                commands=(gcloud("services", "enable", *part, project=deployment.project),),
            )
            for part in parts
        ),
        advice="The project needs a billing account (Firebase's Blaze plan), and you the role Service Usage Admin.",
    )


def _are_enabled(wanted: list[str]) -> Callable[[Any], bool]:
    return lambda services: set(wanted) <= {each["config"]["name"] for each in services}


def firebase_step(deployment: Deployment) -> Step:
    return Step(
        name="Firebase",
        why="rules, functions and Authentication belong to a Firebase project",
        items=(
            Item(
                name="the project is a Firebase project",
                look=Command(arguments=(FIREBASE, "projects:list", "--json", "--non-interactive")),
                is_done=lambda answer: deployment.project in {each["projectId"] for each in answer["result"]},
                commands=(
                    Command(arguments=(FIREBASE, "projects:addfirebase", deployment.project, "--non-interactive")),
                ),
            ),
        ),
        advice="Firebase's terms must have been accepted once: https://console.firebase.google.com",
    )


def service_agents_step(deployment: Deployment) -> Step:
    agent = f"serviceAccount:service-{deployment.project_number}@gcp-sa-eventarc.iam.gserviceaccount.com"

    def has_agent(policy: Any) -> bool:
        return any(agent in binding["members"] for binding in policy.get("bindings", []))

    return Step(
        name="Google's service agents",
        why="Eventarc and Pub/Sub act as accounts of their own; Google would create them only with the first event function, too late for that function",
        items=(
            Item(
                name="the agents of Eventarc and Pub/Sub exist",
                look=gcloud("projects", "get-iam-policy", deployment.project, project=deployment.project),
                is_done=has_agent,
                commands=tuple(
                    gcloud(
                        "beta", "services", "identity", "create", project=deployment.project, options={"service": api}
                    )
                    for api in SERVICE_AGENT_APIS
                ),
            ),
        ),
        advice="The command is one of gcloud's beta commands: `gcloud components install beta`.",
    )
