"""The metadata server refuses what Google's refuses; what it gives is tested in tests/identity."""

import http.client
from collections.abc import Iterator

import pytest

from local.ports import free_port
from local.processes import Processes
from tests.local.running import running

IDENTITY = "/computeMetadata/v1/instance/service-accounts/default/identity"
FLAVOR = {"Metadata-Flavor": "Google"}


@pytest.fixture(scope="module")
def port(processes: Processes) -> Iterator[int]:
    port = free_port()
    arguments = [f"--functions-port={port}", f"--connector-port={free_port()}", f"--certs-port={free_port()}"]
    with running(processes, "local.identity_server", *arguments):
        yield port


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (f"{IDENTITY}?audience=a", FLAVOR, 200),
        (f"{IDENTITY}?audience=a", {}, 403),
        (IDENTITY, FLAVOR, 400),
        (IDENTITY.removesuffix("identity"), FLAVOR, 200),
        (IDENTITY.removesuffix("identity"), {}, 403),
    ],
)
def test_a_request_needs_the_flavor_header_and_an_audience(
    port: int, path: str, headers: dict[str, str], status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    with connection.getresponse() as response:
        assert response.status == status
        assert response.headers.get("Metadata-Flavor") == ("Google" if status == 200 else None)
    connection.close()
