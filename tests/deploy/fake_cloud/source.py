"""Which functions the project's source deploys, and how each is called, read from the decorators without importing anything."""

import ast
from functools import cache
from pathlib import Path

Trigger = str
"""`event`, `queue`, `schedule`, `callable` or `request`."""

_BY_DECORATOR = {
    "on_task_dispatched": "queue",
    "on_schedule": "schedule",
    "on_call": "callable",
    "on_request": "request",
    "on_document_created": "event",
    "on_document_written": "event",
}


@cache
def triggers(root: Path) -> dict[str, Trigger]:
    """By the function's name, for those that functions/main.py exports."""
    exported = _exported(root / "functions/main.py")
    found: dict[str, Trigger] = {}
    for path in sorted((root / "functions/backend/triggers").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name in exported:
                found[node.name] = _trigger(node)
    assert found.keys() == exported, exported - found.keys()
    return found


def queue_invokers(root: Path, function: str) -> list[str]:
    """The parameters that a task queue function's `invoked_by` names."""
    for path in sorted((root / "functions/backend/triggers").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name == function:
                for decorator in node.decorator_list:
                    if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "invoked_by":
                        return [argument.id for argument in decorator.args if isinstance(argument, ast.Name)]
    return []


def _exported(path: Path) -> set[str]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return set(ast.literal_eval(node.value))
    raise AssertionError("main.py exports nothing")


def _trigger(function: ast.FunctionDef) -> Trigger:
    for decorator in function.decorator_list:
        for node in ast.walk(decorator):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            if name in _BY_DECORATOR:
                return _BY_DECORATOR[name]
    raise AssertionError(f"{function.name} has a decorator that is not known here")
