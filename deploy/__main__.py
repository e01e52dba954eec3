"""`python -m deploy --project ID`: deploys. With `--dry`: prints what a deploy would do. `make deploy project=ID` calls it."""

import sys
from collections.abc import Sequence
from pathlib import Path

from deploy import dry_run
from deploy.command import Tools
from deploy.execution import Execution, Say, StepFailed
from deploy.local_tools import LocalTools, local_environment
from deploy.parameters import PLACEHOLDER_NUMBER, Parameters, WrongUsage, read_parameters, store_from_environment
from deploy.plan import plan
from deploy.service_template import UnfitTemplate
from deploy.steps.project import credentials_step, describe

ROOT = Path(__file__).resolve().parent.parent
_DONE, _NOT_DONE, _WRONG_USAGE, _INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str]) -> int:
    try:
        parameters = read_parameters(arguments, store_from_environment())
        if parameters.is_dry:
            return print_plan(parameters, _say)
        tools = LocalTools(folder=ROOT, environment=local_environment())
        if parameters.store is not None:
            tools.hide(parameters.store)
        return deploy(parameters, tools, _say)
    except (WrongUsage, UnfitTemplate) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return _WRONG_USAGE
    except KeyboardInterrupt:
        print("\nInterrupted. What is done stays; run the same command again.", file=sys.stderr)
        return _INTERRUPTED


def print_plan(parameters: Parameters, say: Say) -> int:
    say(
        f"Dry run: sends no request and changes nothing. {PLACEHOLDER_NUMBER} is used in place of the number of project {parameters.project}."
    )
    for line in dry_run.printed(plan(parameters, parameters.deployment(PLACEHOLDER_NUMBER), ROOT)):
        say(line)
    return _DONE


def deploy(parameters: Parameters, tools: Tools, say: Say, root: Path = ROOT) -> int:
    """Raises WrongUsage and UnfitTemplate."""
    execution = Execution(tools=tools, say=say, pause_s=parameters.pause_s)
    total = len(plan(parameters, parameters.deployment(PLACEHOLDER_NUMBER), root))
    try:
        execution.run([credentials_step(parameters.project)], total=total)
        number = tools.run(describe(parameters.project)).value()["projectNumber"]
        _credentials, *others = plan(parameters, parameters.deployment(str(number)), root)
        execution.run(others, total=total, start=2)
    except StepFailed as failure:
        for line in failure.lines:
            print(line, file=sys.stderr)
        return _NOT_DONE
    say(f"Threadline is deployed to {parameters.project}.")
    return _DONE


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
