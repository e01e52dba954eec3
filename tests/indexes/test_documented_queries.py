"""Each query that a document shows to clients has its index: the emulator would answer it without one, Firestore would not."""

import re
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import Client, Query
from google.cloud.firestore_v1.base_query import FieldFilter

from tests.indexes.required import fields_queried, index_needed
from tests.indexes.test_product_queries import DEFINITIONS, EXEMPT

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_CODE = re.compile(r"^```js[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_QUERY = re.compile(r'query\(\s*collection\(db, "(\w+)"\)(.*?);', re.DOTALL)
_PART = re.compile(r'where\("(\w+)", "([^"]+)",|orderBy\("(\w+)"(?:, "(asc|desc)")?\)')


def queries_in(text: str) -> list[Query]:
    """What the JavaScript in a document asks."""
    db = Client(project="demo-indexes", credentials=AnonymousCredentials())
    found: list[Query] = []
    for code in _CODE.findall(text):
        for collection, rest in _QUERY.findall(code):
            query: Query = db.collection(collection).limit(50)
            for compared, operator, ordered, direction in _PART.findall(rest):
                if compared:
                    query = query.where(filter=FieldFilter(compared, operator, 0))
                else:
                    query = query.order_by(
                        ordered, direction=Query.DESCENDING if direction == "desc" else Query.ASCENDING
                    )
            found.append(query)
    return found


SHOWN = [
    pytest.param(query, id=f"{path.name}-{place}")
    for path in DOCUMENTS
    for place, query in enumerate(queries_in(path.read_text()))
]


def test_the_documents_show_queries() -> None:
    """Guards the parametrization below: README has one, docs/clients.md six."""
    assert len(SHOWN) == 7


@pytest.mark.parametrize("query", SHOWN)
def test_a_documented_query_has_its_index(query: Query) -> None:
    index = index_needed(query._to_protobuf())
    assert index is None or any(index.is_served_by(each) for each in DEFINITIONS), (
        f"firestore.indexes.json lacks {index}"
    )


@pytest.mark.parametrize("query", SHOWN)
def test_a_documented_query_uses_no_field_that_is_exempt_from_indexing(query: Query) -> None:
    asked = query._to_protobuf()
    assert not {(asked.from_[0].collection_id, field) for field in fields_queried(asked)} & EXEMPT


def test_a_documented_query_is_read_whole() -> None:
    code = """```js
const q = query(
  collection(db, "rows"),
  where("a", "==", a),
  orderBy("b"),
  orderBy("c", "desc"),
);
```
"""
    (found,) = queries_in(code)
    assert index_needed(found._to_protobuf()) == index_needed(
        Client(project="demo-indexes", credentials=AnonymousCredentials())
        .collection("rows")
        .where(filter=FieldFilter("a", "==", 0))
        .order_by("b")
        .order_by("c", direction=Query.DESCENDING)
        ._to_protobuf()
    )
