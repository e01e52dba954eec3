"""Plays Google's metadata server for the two service accounts, the issuer of tokens for others, and Google's key set.

    python -m local.identity_server --functions-port A --connector-port B --certs-port C
        [--functions-account EMAIL] [--connector-account EMAIL] [--key-file FILE]

GCE_METADATA_HOST=127.0.0.1:A makes a process the functions' service account, :B the connector's;
IDENTITY_CERTS_URL=http://127.0.0.1:C/certs is the key set; the same port issues tokens of any account to the services of Google
that call as one (Cloud Tasks, Cloud Scheduler), as IAM's generateIdToken does. The key is made at start; with --key-file it is read from there,
so that a test can sign (bad) tokens with it: see local/signing.py.
"""

import argparse
import asyncio
from pathlib import Path

from aiohttp import web

from local.serving import HOST, serve_until_terminated, start_http
from local.signing import SigningKey

FUNCTIONS_ACCOUNT = "functions@demo-threadline.iam.gserviceaccount.com"
CONNECTOR_ACCOUNT = "connector@demo-threadline.iam.gserviceaccount.com"
TASKS_ACCOUNT = "tasks@demo-threadline.iam.gserviceaccount.com"
"""Whose tokens Cloud Tasks puts on the send jobs."""

_FLAVOR = "Metadata-Flavor"
_ACCOUNT_PATH = "/computeMetadata/v1/instance/service-accounts/default"


def metadata_application(key: SigningKey, service_account: str) -> web.Application:
    """What google-auth asks a metadata server for to get identity tokens: the account's e-mail, and tokens for an audience."""

    async def account(request: web.Request) -> web.Response:
        _require_flavor(request)
        info = {"email": service_account, "aliases": ["default"], "scopes": []}
        return web.json_response(info, headers={_FLAVOR: "Google"})

    async def identity(request: web.Request) -> web.Response:
        _require_flavor(request)
        audience = request.query.get("audience")
        if not audience:
            raise web.HTTPBadRequest(text="non-empty audience parameter required")
        token = key.token(audience=audience, service_account=service_account)
        return web.Response(text=token, headers={_FLAVOR: "Google"}, content_type="text/html")

    application = web.Application()
    application.router.add_get(f"{_ACCOUNT_PATH}/", account)
    application.router.add_get(f"{_ACCOUNT_PATH}/identity", identity)
    return application


def issuer_application(key: SigningKey) -> web.Application:
    """The key set, and IAM's call that issues a token of an account
    (https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken)."""

    async def certs(_request: web.Request) -> web.Response:
        return web.json_response(key.public_keys())

    async def generate(request: web.Request) -> web.Response:
        audience = (await request.json()).get("audience")
        if not audience:
            raise web.HTTPBadRequest(text="audience is required")
        return web.json_response({"token": key.token(audience=audience, service_account=request.match_info["account"])})

    application = web.Application()
    application.router.add_post("/v1/projects/-/serviceAccounts/{account}:generateIdToken", generate)
    application.router.add_get("/certs", certs)
    return application


async def main() -> None:
    parser = argparse.ArgumentParser(prog="local.identity_server")
    parser.add_argument("--functions-port", type=int, required=True)
    parser.add_argument("--connector-port", type=int, required=True)
    parser.add_argument("--certs-port", type=int, required=True)
    parser.add_argument("--functions-account", default=FUNCTIONS_ACCOUNT)
    parser.add_argument("--connector-account", default=CONNECTOR_ACCOUNT)
    parser.add_argument("--key-file", type=Path, help="a key that SigningKey.save wrote; else one is made")
    options = parser.parse_args()
    key = SigningKey.load(options.key_file) if options.key_file else SigningKey.generate()
    runners = [
        await start_http(metadata_application(key, options.functions_account), options.functions_port),
        await start_http(metadata_application(key, options.connector_account), options.connector_port),
        await start_http(issuer_application(key), options.certs_port),
    ]
    await serve_until_terminated(f"identity on {HOST}:{options.certs_port}")
    for runner in runners:
        await runner.cleanup()


def _require_flavor(request: web.Request) -> None:
    """Google's server refuses requests without this header: a browser cannot be made to send it."""
    if request.headers.get(_FLAVOR) != "Google":
        raise web.HTTPForbidden(text="Missing Metadata-Flavor:Google header.")


if __name__ == "__main__":
    asyncio.run(main())
