"""The IAM check before a service, and the headers that the service's container then gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from multidict import CIMultiDict

from local.cloud_run.answers import FrontAnswer, forbidden, unauthorized
from local.cloud_run.google_tokens import GoogleTokens, TokenInvalid

ALL_USERS = "allUsers"
_AUTHORIZATION = "Authorization"
_SERVERLESS = "X-Serverless-Authorization"
_REMOVED_SIGNATURE = "SIGNATURE_REMOVED_BY_GOOGLE"


class Removal(StrEnum):
    """Which signature is removed. Google documents `CONSUMED`; there are reports of the others for service accounts' tokens."""

    CONSUMED = "consumed"
    """The signature in the header that the IAM check has read."""
    AUTHORIZATION = "authorization"
    """The signature in `Authorization`, whichever header the IAM check has read."""
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service: who may call it, and for which audiences tokens are taken.

    `invokers`: the e-mails of the service accounts that have roles/run.invoker on it, or ALL_USERS.
    """

    name: str
    audiences: frozenset[str]
    invokers: frozenset[str]

    @property
    def is_public(self) -> bool:
        return ALL_USERS in self.invokers


def connector_service(endpoint: str, invoker: str) -> Service:
    """Cloud Run takes a service's own address as audience, with a final "/" or without."""
    return Service(name="connector", audiences=frozenset({endpoint, f"{endpoint}/"}), invokers=frozenset({invoker}))


class Front:
    def __init__(self, tokens: GoogleTokens, removal: Removal = Removal.CONSUMED) -> None:
        self._tokens = tokens
        self._removal = removal

    async def admit(self, service: Service, path: str, headers: Mapping[str, str]) -> "CIMultiDict[str] | FrontAnswer":
        """The headers that the container gets, or the answer that the caller gets in its place.

        A public service's callers are not checked, and their headers pass as they are: Firebase's own tokens are in them.
        """
        passed = CIMultiDict(headers)
        if service.is_public:
            return passed
        read = _SERVERLESS if _SERVERLESS in passed else _AUTHORIZATION
        scheme, _, token = passed.get(read, "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return forbidden(path)
        try:
            account = await self._tokens.account(token, service.audiences)
        except TokenInvalid:
            return unauthorized(path)
        if account not in service.invokers:
            return forbidden(path)
        self._remove_signature(passed, read)
        return passed

    def _remove_signature(self, headers: "CIMultiDict[str]", read: str) -> None:
        if self._removal is Removal.NONE:
            return
        name = read if self._removal is Removal.CONSUMED else _AUTHORIZATION
        signed = headers.get(name, "").rpartition(".")[0]
        if signed:
            headers[name] = f"{signed}.{_REMOVED_SIGNATURE}"
