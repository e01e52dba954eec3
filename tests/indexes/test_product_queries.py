"""Each query of the product has its index, and no query is built where these tests would not see it."""

import ast
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from google.cloud.firestore import AsyncQuery, Query

import backend.queries
import connector.queries
from tests.indexes.required import Definition, Direction, Ordered, Scope, fields_queried, index_needed
from tests.indexes.samples import query_of

ROOT = Path(__file__).parents[2]
INDEXES = json.loads((ROOT / "firestore.indexes.json").read_text())
DEFINITIONS = [
    Definition(
        collection=entry["collectionGroup"],
        scope=Scope(entry["queryScope"]),
        fields=tuple(
            Ordered(field=field["fieldPath"], direction=Direction(field["order"])) for field in entry["fields"]
        ),
    )
    for entry in INDEXES["indexes"]
]
EXEMPT = {(entry["collectionGroup"], entry["fieldPath"]) for entry in INDEXES["fieldOverrides"] if not entry["indexes"]}

MODULES = {"functions": backend.queries, "connector": connector.queries}
QueryFunction = Callable[..., Query | AsyncQuery]


def functions_of(module: ModuleType) -> list[QueryFunction]:
    return [
        function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    ]


QUERIES = [
    pytest.param(function, id=f"{service}: {function.__name__}")
    for service, module in MODULES.items()
    for function in functions_of(module)
]


@pytest.mark.parametrize("function", QUERIES)
def test_a_query_has_its_composite_index(function: QueryFunction) -> None:
    index = index_needed(query_of(function))
    assert index is None or any(index.is_served_by(definition) for definition in DEFINITIONS), (
        f"firestore.indexes.json lacks {index}"
    )


@pytest.mark.parametrize("function", QUERIES)
def test_a_query_uses_no_field_that_is_exempt_from_indexing(function: QueryFunction) -> None:
    query = query_of(function)
    collection = query.from_[0].collection_id
    assert not {(collection, field) for field in fields_queried(query)} & EXEMPT


def test_every_service_has_queries() -> None:
    """Guards the parametrization above: a module whose functions were not found would pass in silence."""
    assert all(functions_of(module) for module in MODULES.values())


def sources(folder: str) -> Iterator[Path]:
    for path in (ROOT / folder).rglob("*.py"):
        if not {"venv", ".venv", "__pycache__"} & set(path.parts) and not path.name.endswith(
            ("_pb2.py", "_pb2_grpc.py")
        ):
            yield path


BUILDERS = {"where", "order_by", "collection_group"}


def query_building_lines(source: str) -> list[int]:
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [call.lineno for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in BUILDERS]


@pytest.mark.parametrize("folder", MODULES)
def test_no_query_is_built_outside_the_queries_modules(folder: str) -> None:
    own = Path(str(MODULES[folder].__file__))
    elsewhere = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources(folder)
        if path != own
        for line in query_building_lines(path.read_text())
    }
    assert not elsewhere, f"move these queries into {own.relative_to(ROOT)}: {sorted(elsewhere)}"


@pytest.mark.parametrize(
    "source",
    [
        'db.collection("a").where(filter=f)',
        'db.collection("a").order_by("b")',
        'db.collection_group("a").limit(1)',
        "q = rows\nq = (\n    q\n    .where(filter=f)\n)",
    ],
)
def test_a_query_that_is_built_is_seen(source: str) -> None:
    assert query_building_lines(source)
