"""What a command works with: the project, its Firestore, and the screen."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import google.auth
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.firestore import Client, CollectionReference, DocumentReference, DocumentSnapshot, Query

from connector.admin.endings import Failed, WrongUsage
from connector.admin.screen import Screen

_CALL_S = 15.0
_PASSING = Retry(
    predicate=if_exception_type(exceptions.ServiceUnavailable, exceptions.DeadlineExceeded),
    initial=0.2,
    maximum=2.0,
    timeout=_CALL_S,
)
"""The library's own would try for minutes, while a person waits."""
_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]

Document = dict[str, Any]


class Conflict(Exception):
    """Nothing was written, because another writer was faster: read again, decide again. It proves nothing about any document."""


class Missing(Conflict):
    """A document that was to be changed does not exist."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A document as it was read; `update_time` is what a write's precondition names."""

    reference: DocumentReference
    document: Document
    update_time: datetime

    @property
    def id(self) -> str:
        return str(self.reference.id)


@dataclass(frozen=True, kw_only=True)
class Change:
    """Fields of a document that must exist, unless it is to be created then; with `at`, only as it was read."""

    reference: DocumentReference
    fields: Mapping[str, object]
    at: datetime | None = None
    may_create: bool = False


@dataclass(frozen=True, kw_only=True)
class Creation:
    reference: DocumentReference
    fields: Mapping[str, object]


@dataclass(frozen=True)
class Context:
    named_project: str | None
    screen: Screen
    named_database: str | None = None

    @cached_property
    def credentials(self) -> tuple[Any, str | None]:
        """The application default credentials and the project that they name. Raises Failed."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a person's own credentials without a quota project: it works
                found, project = google.auth.default(scopes=_SCOPES)
        except DefaultCredentialsError as error:
            raise Failed(
                "there are no Google credentials here: run `gcloud auth application-default login`, or name a key file in "
                "GOOGLE_APPLICATION_CREDENTIALS (or, for an emulator, set FIRESTORE_EMULATOR_HOST)"
            ) from error
        return found, project

    @cached_property
    def project(self) -> str:
        """Raises WrongUsage and Failed."""
        named = self.named_project or os.environ.get("GOOGLE_CLOUD_PROJECT") or os.environ.get("GCLOUD_PROJECT")
        if not named and not firestore_emulator():
            named = self.credentials[1]
        if not named:
            raise WrongUsage("no project is named: pass --project ID, or set GOOGLE_CLOUD_PROJECT")
        return named

    @property
    def database(self) -> str:
        """The id of the Firestore database."""
        return self.named_database or os.environ.get("FIRESTORE_DATABASE") or "(default)"

    @cached_property
    def db(self) -> Client:
        """Raises WrongUsage and Failed."""
        if firestore_emulator():
            return Client(project=self.project, database=self.database)
        return Client(project=self.project, database=self.database, credentials=self.credentials[0])

    def reference(self, *path: str) -> DocumentReference:
        return self.db.document(*path)

    def read(self, *path: str) -> Stored | None:
        return self.read_all([self.reference(*path)])[0]

    def read_all(self, references: Sequence[DocumentReference]) -> list[Stored | None]:
        """In the order of the references."""
        if not references:
            return []
        found = {
            snapshot.reference.path: _stored(snapshot)
            for snapshot in self.db.get_all(list(references), retry=_PASSING, timeout=_CALL_S)
            if snapshot.exists
        }
        return [found.get(reference.path) for reference in references]

    def find(self, query: Query | CollectionReference) -> list[Stored]:
        return list(self.each(query))

    def each(self, query: Query | CollectionReference) -> Iterator[Stored]:
        """As they come: of very many, without keeping them."""
        for snapshot in query.stream(retry=_PASSING):
            yield _stored(snapshot)

    def commit(self, writes: Sequence[Change | Creation]) -> None:
        """All or none, tried once: a second try could meet its own success. Raises Conflict."""
        batch = self.db.batch()
        for write in writes:
            if isinstance(write, Creation):
                batch.create(write.reference, dict(write.fields))
            elif write.may_create:
                batch.set(write.reference, dict(write.fields), merge=True)
            elif write.at is None:
                batch.update(write.reference, dict(write.fields))
            else:
                option = self.db.write_option(last_update_time=write.at)
                batch.update(write.reference, dict(write.fields), option=option)
        try:
            batch.commit(retry=None, timeout=_CALL_S)
        except exceptions.NotFound as error:
            raise Missing(type(error).__name__) from error
        except (exceptions.FailedPrecondition, exceptions.Aborted, exceptions.AlreadyExists) as error:
            raise Conflict(type(error).__name__) from error


def firestore_emulator() -> str | None:
    return os.environ.get("FIRESTORE_EMULATOR_HOST") or None


def now() -> datetime:
    return datetime.now(UTC)


def _stored(snapshot: DocumentSnapshot[Any]) -> Stored:
    document, update_time = snapshot.to_dict(), snapshot.update_time
    assert document is not None
    assert update_time is not None
    return Stored(reference=snapshot.reference, document=document, update_time=update_time)
