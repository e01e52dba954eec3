"""Which index a query needs, and whether a definition of firestore.indexes.json is that index."""

from dataclasses import dataclass
from enum import StrEnum

from google.cloud.firestore_v1.types import StructuredQuery

_FieldOp = StructuredQuery.FieldFilter.Operator
_UnaryOp = StructuredQuery.UnaryFilter.Operator

_EQUALITY = {_FieldOp.EQUAL, _FieldOp.IN}
_INEQUALITY = {
    _FieldOp.LESS_THAN,
    _FieldOp.LESS_THAN_OR_EQUAL,
    _FieldOp.GREATER_THAN,
    _FieldOp.GREATER_THAN_OR_EQUAL,
    _FieldOp.NOT_EQUAL,
    _FieldOp.NOT_IN,
}
_UNARY_EQUALITY = {_UnaryOp.IS_NULL, _UnaryOp.IS_NAN}
_UNARY_INEQUALITY = {_UnaryOp.IS_NOT_NULL, _UnaryOp.IS_NOT_NAN}

_NAME = "__name__"


class Direction(StrEnum):
    ASCENDING = "ASCENDING"
    DESCENDING = "DESCENDING"


class Scope(StrEnum):
    COLLECTION = "COLLECTION"
    COLLECTION_GROUP = "COLLECTION_GROUP"


class UnknownQueryShape(ValueError):
    """A query whose index these rules do not know how to derive: teach them, rather than let it pass."""


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """A field by which an index is sorted."""

    field: str
    direction: Direction

    def reversed(self) -> "Ordered":
        ascending = self.direction is Direction.ASCENDING
        return Ordered(field=self.field, direction=Direction.DESCENDING if ascending else Direction.ASCENDING)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A composite index as firestore.indexes.json defines it."""

    collection: str
    scope: Scope
    fields: tuple[Ordered, ...]


@dataclass(frozen=True, kw_only=True)
class Index:
    """What a query asks of an index: first the fields that it compares for equality, in any order, then those it sorts by."""

    collection: str
    scope: Scope
    equal: frozenset[str]
    ordered: tuple[Ordered, ...]

    def is_served_by(self, definition: Definition) -> bool:
        """One definition alone must serve; that Firestore can also merge several is not relied on. It reads either way."""
        if (definition.collection, definition.scope) != (self.collection, self.scope):
            return False
        prefix, rest = definition.fields[: len(self.equal)], definition.fields[len(self.equal) :]
        backwards = tuple(ordered.reversed() for ordered in self.ordered)
        return {ordered.field for ordered in prefix} == self.equal and rest in (self.ordered, backwards)


@dataclass(frozen=True, kw_only=True)
class _Shape:
    equal: frozenset[str]
    unequal: frozenset[str]
    ordered: tuple[Ordered, ...]


def index_needed(query: StructuredQuery) -> Index | None:
    """The composite index that a query cannot do without, or None where the indexes of single fields are enough.

    Equalities alone are answered by merging single-field indexes; so is a sort or a range on one field alone. Raises
    UnknownQueryShape.
    """
    shape = _shape(query)
    equal = shape.equal - {ordered.field for ordered in shape.ordered}
    if not shape.ordered or len(equal) + len(shape.ordered) == 1:
        return None
    source = query.from_[0]
    scope = Scope.COLLECTION_GROUP if source.all_descendants else Scope.COLLECTION
    return Index(collection=source.collection_id, scope=scope, equal=equal, ordered=shape.ordered)


def fields_queried(query: StructuredQuery) -> frozenset[str]:
    """The fields that a query filters or sorts by. Raises UnknownQueryShape."""
    shape = _shape(query)
    return shape.equal | shape.unequal | {ordered.field for ordered in shape.ordered}


def _shape(query: StructuredQuery) -> _Shape:
    if len(query.from_) != 1:
        raise UnknownQueryShape("a query reads one collection")
    filters = _conjunction(query.where) if StructuredQuery.pb(query).HasField("where") else []
    equal: set[str] = set()
    unequal: set[str] = set()
    for one in filters:
        field, is_equality = _comparison(one)
        (equal if is_equality else unequal).add(field)
    if len(unequal) > 1:
        raise UnknownQueryShape(f"ranges over several fields: {sorted(unequal)}")
    return _Shape(equal=frozenset(equal), unequal=frozenset(unequal), ordered=_orders(query, unequal))


def _conjunction(where: StructuredQuery.Filter) -> list[StructuredQuery.Filter]:
    if "composite_filter" not in where:
        return [where]
    if where.composite_filter.op != StructuredQuery.CompositeFilter.Operator.AND:
        raise UnknownQueryShape("filters joined by anything but AND")
    return [leaf for one in where.composite_filter.filters for leaf in _conjunction(one)]


def _comparison(one: StructuredQuery.Filter) -> tuple[str, bool]:
    """The field, and whether it is compared for equality."""
    if "unary_filter" in one:
        field, operator = one.unary_filter.field.field_path, one.unary_filter.op
        equality, inequality = operator in _UNARY_EQUALITY, operator in _UNARY_INEQUALITY
    else:
        field, operator = one.field_filter.field.field_path, one.field_filter.op
        equality, inequality = operator in _EQUALITY, operator in _INEQUALITY
    if not (equality or inequality):
        raise UnknownQueryShape(f"operator {operator!r} on {field}")
    return field, equality


def _orders(query: StructuredQuery, unequal: set[str]) -> tuple[Ordered, ...]:
    """The sort as Firestore completes it: the field of a range that is not among the orders is appended, in the last direction; so is the
    id, in which every index ends (StructuredQuery.order_by, https://cloud.google.com/firestore/docs/reference/rpc)."""
    orders = [
        Ordered(field=order.field.field_path, direction=Direction(order.direction.name)) for order in query.order_by
    ]
    direction = orders[-1].direction if orders else Direction.ASCENDING
    if orders and orders[-1].field == _NAME and unequal - {ordered.field for ordered in orders}:
        raise UnknownQueryShape("a range whose field comes behind the id")
    missing = sorted(unequal - {ordered.field for ordered in orders})
    orders += [Ordered(field=field, direction=direction) for field in missing]
    if orders and orders[-1].field == _NAME and (len(orders) == 1 or orders[-2].direction == orders[-1].direction):
        orders.pop()
    return tuple(orders)
