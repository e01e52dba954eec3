"""Every Firestore query of the connector, each built by one public function.

The convention is that of `functions/backend/queries.py`: no `.where(` or `.order_by(` stands elsewhere in `connector/`;
a public function takes the client first and returns a query; `tests/indexes` calls each with sample arguments and holds
the index that it needs against `firestore.indexes.json`. Filters are passed as `filter=FieldFilter(...)`: positional
ones raise a warning, which the tests treat as an error.
"""

from datetime import datetime

from google.cloud.firestore import AsyncClient, AsyncQuery
from google.cloud.firestore_v1.base_query import FieldFilter

from core import schema


def free_leases(db: AsyncClient, now: datetime, limit: int) -> AsyncQuery:
    """Leases of wanted accounts that nobody holds any more, the longest free first."""
    return (
        db.collection(schema.LEASES)
        .where(filter=FieldFilter("wanted", "==", True))
        .where(filter=FieldFilter("leaseUntil", "<", now))
        .order_by("leaseUntil")
        .limit(limit)
    )
