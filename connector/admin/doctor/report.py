"""The functions' report, read from the canary row (functions/backend/diagnosis.py writes it). Fields that an older version does not send are None."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Release:
    """The code that a process runs. `build` is a digest of the modules that functions, connector and command line share."""

    version: str | None
    build: str | None
    contract: int | None

    def __str__(self) -> str:
        return f"{self.version or 'unknown'} ({self.build or 'no build'})"


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How far a clock is ahead of another one, plus or minus `uncertainty_s`. None: not known."""

    offset_s: float | None
    uncertainty_s: float

    def against(self, other: "Clock") -> "Clock":
        """This offset is from `other`'s clock. The result is the offset from the clock that `other` was measured against."""
        known = self.offset_s is not None and other.offset_s is not None
        return Clock(
            offset_s=(self.offset_s or 0.0) + (other.offset_s or 0.0) if known else None,
            uncertainty_s=self.uncertainty_s + other.uncertainty_s,
        )


@dataclass(frozen=True, kw_only=True)
class Call:
    """How one side answered the other's call. `code` is the application's; without it, the platform answered."""

    outcome: str
    status: int | None
    code: str | None

    @property
    def is_answered(self) -> bool:
        return self.outcome == "answered"


@dataclass(frozen=True, kw_only=True)
class Connector:
    """One address of CONNECTOR_ENDPOINTS. The fields below `clock` are those of a connector that has answered."""

    endpoint: str
    call: Call
    clock: Clock
    release: Release
    worker_id: str | None
    public_endpoint: str | None
    functions_service_account: str | None
    flush_url: str | None
    ready: Mapping[str, Any]
    engine: Mapping[str, Any]
    store: Mapping[str, Any]
    flush: Call


@dataclass(frozen=True, kw_only=True)
class Report:
    release: Release
    clock: Clock
    endpoints: tuple[str, ...]
    functions_service_account: str | None
    connector_service_account: str | None
    flush_url: str | None
    connectors: tuple[Connector, ...]

    @property
    def answering(self) -> list[Connector]:
        return [connector for connector in self.connectors if connector.call.is_answered]


def parse_report(value: object) -> Report:
    """Missing and malformed fields become None, since the report may be from another version."""
    fields = _map(value)
    return Report(
        release=_release(fields),
        clock=_clock(fields),
        endpoints=tuple(str(each) for each in _list(fields.get("connectorEndpoints"))),
        functions_service_account=_text(fields.get("functionsServiceAccount")),
        connector_service_account=_text(fields.get("connectorServiceAccount")),
        flush_url=_text(fields.get("flushUrl")),
        connectors=tuple(_connector(_map(each)) for each in _list(fields.get("connectors"))),
    )


def _connector(fields: Mapping[str, Any]) -> Connector:
    said = _map(fields.get("report"))
    return Connector(
        endpoint=str(fields.get("endpoint")),
        call=_call(fields),
        clock=_clock(fields),
        release=_release(said),
        worker_id=_text(said.get("workerId")),
        public_endpoint=_text(said.get("publicEndpoint")),
        functions_service_account=_text(said.get("functionsServiceAccount")),
        flush_url=_text(said.get("flushUrl")),
        ready=_map(said.get("ready")),
        engine=_map(said.get("engine")),
        store=_map(said.get("store")),
        flush=_call(_map(said.get("flush"))),
    )


def _release(fields: Mapping[str, Any]) -> Release:
    contract = fields.get("contract")
    return Release(
        version=_text(fields.get("version")),
        build=_text(fields.get("build")),
        contract=contract if isinstance(contract, int) else None,
    )


def _clock(fields: Mapping[str, Any]) -> Clock:
    offset, uncertainty = fields.get("clockOffsetS"), fields.get("clockUncertaintyS")
    return Clock(
        offset_s=float(offset) if isinstance(offset, int | float) else None,
        uncertainty_s=float(uncertainty) if isinstance(uncertainty, int | float) else 0.0,
    )


def _call(fields: Mapping[str, Any]) -> Call:
    status = fields.get("status")
    return Call(
        outcome=str(fields.get("outcome") or "unknown"),
        status=status if isinstance(status, int) else None,
        code=_text(fields.get("code")),
    )


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
