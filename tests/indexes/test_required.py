"""The derivation of the index that a query needs, by tables."""

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import Client, CollectionGroup, CollectionReference, Query
from google.cloud.firestore_v1.base_query import BaseQuery, FieldFilter, Or

from tests.indexes.required import (
    Definition,
    Direction,
    Index,
    Ordered,
    Scope,
    UnknownQueryShape,
    fields_queried,
    index_needed,
)

UP, DOWN = Direction.ASCENDING, Direction.DESCENDING


def rows() -> CollectionReference:
    return Client(project="demo-indexes", credentials=AnonymousCredentials()).collection("rows")


def group() -> CollectionGroup:
    return Client(project="demo-indexes", credentials=AnonymousCredentials()).collection_group("rows")


def by(field: str, operator: str, value: object = 1) -> FieldFilter:
    return FieldFilter(field, operator, value)


def needed(query: BaseQuery) -> Index | None:
    return index_needed(query._to_protobuf())


def index(equal: set[str], *ordered: tuple[str, Direction], scope: Scope = Scope.COLLECTION) -> Index:
    return Index(
        collection="rows",
        scope=scope,
        equal=frozenset(equal),
        ordered=tuple(Ordered(field=field, direction=direction) for field, direction in ordered),
    )


def definition(*fields: tuple[str, Direction], scope: Scope = Scope.COLLECTION) -> Definition:
    return Definition(
        collection="rows",
        scope=scope,
        fields=tuple(Ordered(field=field, direction=direction) for field, direction in fields),
    )


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(rows().limit(1), id="everything"),
        pytest.param(rows().where(filter=by("a", "==")), id="one equality"),
        pytest.param(rows().where(filter=by("a", "==", None)), id="null is an equality"),
        pytest.param(rows().where(filter=by("a", "==")).where(filter=by("b", "in", [1, 2])), id="equalities alone"),
        pytest.param(rows().order_by("a"), id="one order"),
        pytest.param(rows().order_by("a", direction=Query.DESCENDING), id="one order downwards"),
        pytest.param(rows().where(filter=by("a", "<")), id="one range"),
        pytest.param(rows().where(filter=by("a", "<")).order_by("a"), id="a range and its own order"),
        pytest.param(rows().order_by("__name__"), id="by id"),
        pytest.param(rows().where(filter=by("a", "==")).order_by("__name__"), id="an equality, by id"),
    ],
)
def test_single_field_indexes_are_enough(query: BaseQuery) -> None:
    assert needed(query) is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(
            rows().where(filter=by("a", "==")).order_by("b"), index({"a"}, ("b", UP)), id="an equality and an order"
        ),
        pytest.param(
            rows().where(filter=by("a", "==")).where(filter=by("b", "<")),
            index({"a"}, ("b", UP)),
            id="an equality and a range, which sorts",
        ),
        pytest.param(
            rows().where(filter=by("a", "==")).where(filter=by("b", "!=", None)),
            index({"a"}, ("b", UP)),
            id="not null is a range",
        ),
        pytest.param(
            rows().where(filter=by("a", "in", [1, 2])).order_by("b"), index({"a"}, ("b", UP)), id="in is an equality"
        ),
        pytest.param(
            rows().where(filter=by("a", "==")).order_by("b", direction=Query.DESCENDING),
            index({"a"}, ("b", DOWN)),
            id="downwards",
        ),
        pytest.param(
            rows().where(filter=by("a", "==")).where(filter=by("b", "==")).order_by("c").order_by("d"),
            index({"a", "b"}, ("c", UP), ("d", UP)),
            id="two equalities and two orders",
        ),
        pytest.param(
            rows().order_by("a").order_by("b", direction=Query.DESCENDING),
            index(set(), ("a", UP), ("b", DOWN)),
            id="two orders",
        ),
        pytest.param(
            rows().where(filter=by("a", "==")).order_by("b").order_by("__name__"),
            index({"a"}, ("b", UP)),
            id="the id, which every index ends in",
        ),
        pytest.param(
            rows().where(filter=by("a", "==")).order_by("b").order_by("__name__", direction=Query.DESCENDING),
            index({"a"}, ("b", UP), ("__name__", DOWN)),
            id="the id against the last direction",
        ),
        pytest.param(
            rows().where(filter=by("a", "in", [1, 2])).order_by("a").order_by("b"),
            index(set(), ("a", UP), ("b", UP)),
            id="an order by a field that is compared too",
        ),
        pytest.param(
            rows().where(filter=by("a", ">")).order_by("b", direction=Query.DESCENDING),
            index(set(), ("b", DOWN), ("a", DOWN)),
            id="a range behind another order",
        ),
        pytest.param(
            group().where(filter=by("a", "==")).order_by("b"),
            index({"a"}, ("b", UP), scope=Scope.COLLECTION_GROUP),
            id="a collection group",
        ),
    ],
)
def test_a_composite_index_is_needed(query: BaseQuery, expected: Index) -> None:
    assert needed(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(rows().where(filter=Or([by("a", "=="), by("b", "==")])), id="or"),
        pytest.param(rows().where(filter=by("a", "array_contains")), id="array-contains"),
        pytest.param(rows().where(filter=by("a", "<")).where(filter=by("b", "<")), id="two ranges"),
        pytest.param(rows().where(filter=by("a", "<")).order_by("__name__"), id="a range behind the id"),
    ],
)
def test_a_shape_that_is_not_known_is_refused(query: BaseQuery) -> None:
    with pytest.raises(UnknownQueryShape):
        needed(query)


@pytest.mark.parametrize(
    "serving",
    [
        pytest.param(definition(("a", UP), ("b", UP), ("c", UP), ("d", DOWN)), id="as asked"),
        pytest.param(definition(("b", DOWN), ("a", UP), ("c", UP), ("d", DOWN)), id="equalities in any order"),
        pytest.param(definition(("a", UP), ("b", UP), ("c", DOWN), ("d", UP)), id="read backwards"),
    ],
)
def test_a_definition_serves(serving: Definition) -> None:
    assert index({"a", "b"}, ("c", UP), ("d", DOWN)).is_served_by(serving)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(definition(("a", UP), ("c", UP), ("d", DOWN)), id="an equality is missing"),
        pytest.param(definition(("a", UP), ("b", UP), ("c", UP)), id="an order is missing"),
        pytest.param(definition(("a", UP), ("b", UP), ("d", DOWN), ("c", UP)), id="orders exchanged"),
        pytest.param(definition(("a", UP), ("b", UP), ("c", UP), ("d", UP)), id="one direction differs"),
        pytest.param(definition(("c", UP), ("a", UP), ("b", UP), ("d", DOWN)), id="an order before the equalities"),
        pytest.param(definition(("a", UP), ("b", UP), ("c", UP), ("d", DOWN), ("e", UP)), id="one field more"),
        pytest.param(
            definition(("a", UP), ("b", UP), ("c", UP), ("d", DOWN), scope=Scope.COLLECTION_GROUP), id="another scope"
        ),
        pytest.param(
            Definition(
                collection="others",
                scope=Scope.COLLECTION,
                fields=definition(("a", UP), ("b", UP), ("c", UP), ("d", DOWN)).fields,
            ),
            id="another collection",
        ),
    ],
)
def test_a_definition_does_not_serve(other: Definition) -> None:
    assert not index({"a", "b"}, ("c", UP), ("d", DOWN)).is_served_by(other)


def test_the_fields_of_a_query_are_those_it_filters_or_sorts_by() -> None:
    query = rows().where(filter=by("a", "==")).where(filter=by("b.c", "<")).order_by("b.c").order_by("d")
    assert fields_queried(query._to_protobuf()) == {"a", "b.c", "d"}
