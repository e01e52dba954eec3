"""Which tests `make test` runs in one process, and which it begins with."""

import re
from collections.abc import Iterator

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped] # it has no types

_OF_A_SUITE = re.compile(r"tests/e2e/.*\[(simulated|real)\b")


class Scheduler(LoadScopeScheduling):  # type: ignore[misc] # as above
    """A file's tests stay together, in their order: what its servers hold is theirs. All tests that use the Emulator Suite over one network
    stay together, so that it is started once.

    pytest-xdist's own groups (its mark xdist_group) have no effect with this version of pytest.
    """

    def _split_scope(self, nodeid: str) -> str:
        suite = _OF_A_SUITE.match(nodeid)
        return nodeid.partition("::")[0] if suite is None else f"suite over {suite[1]}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduler:
    return Scheduler(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Files with long tests come first, so that no process waits for another at the end."""
    yield
    if config.getoption("dist", default="no") != "no":
        limits: dict[str, float] = {}
        for item in items:
            limits[str(item.path)] = max(limits.get(str(item.path), 0.0), _time_limit_s(item))
        items.sort(key=lambda item: -limits[str(item.path)])


def _time_limit_s(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return 0.0 if mark is None else float(mark.args[0])
