"""python -m deploy.planner: prints what firebase-tools' own planner would do to a project that has an application."""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from deploy.deployment import Deployment
from deploy.planner.plan import PROJECT_NUMBER, Action, Plan, PlanRefused, plan
from deploy.steps.functions import parameters

_EXAMPLE = Path(__file__).with_name("shared_project.json")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="deploy.planner", description=__doc__)
    parser.add_argument("--database", default="threadline", help="the Firestore database of Threadline (threadline)")
    parser.add_argument("--codebase", help="another codebase name than ours, to see what that would do")
    parser.add_argument("--has", type=Path, default=_EXAMPLE, help="what is in the project; an example unless given")
    parser.add_argument(
        "--no-force", action="store_true", help="without --force, which a deploy without a terminal needs"
    )
    options = parser.parse_args(arguments)
    has = json.loads(options.has.read_text())
    try:
        planned = plan(
            project="shared",
            parameters=example_parameters("shared", options.database),
            database=options.database,
            has=has,
            codebase=options.codebase,
            force=not options.no_force,
        )
    except PlanRefused as refused:
        print(refused.report, refused, sep="\n", file=sys.stderr)
        return 1
    print(shown(planned))
    return 0


def example_parameters(project: str, database: str) -> dict[str, str]:
    """The parameters that `python -m deploy` writes for the project."""
    deployment = Deployment(project=project, project_number=PROJECT_NUMBER, database=database)
    return dict(line.split("=", 1) for line in parameters(deployment, None).splitlines())


def shown(planned: Plan) -> str:
    lines = [
        f"{function.action:<10}function {function.name} in {function.region}, codebase {function.codebase}"
        for function in planned.functions
    ]
    writes = Counter((write.action, write.what, write.database) for write in planned.writes)
    for (action, what, database), count in writes.items():
        times = f"{count} x " if count > 1 else ""
        lines.append(f"{action:<10}{times}{what} in database {database}")
    counts = Counter([function.action for function in planned.functions] + [write.action for write in planned.writes])
    totals = ", ".join(f"{action} {counts[action]}" for action in Action)
    return "\n".join([*sorted(lines, key=lambda line: list(Action).index(Action(line.split()[0]))), "", totals])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
