"""What private/state shows while WhatsApp asks for the account's passkey, and the script by which a browser signs."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from connector.contract import engine_pb2 as pb
from connector.pairing import expires_at
from core.account import NO_CODES

_PAGE = Path(__file__).with_name("passkey_page.js")

HOW_TO_SIGN = (
    "WhatsApp asks for the account's passkey. In a browser on a computer, where the passkey can be used, open https://web.whatsapp.com "
    "and its console (F12, Console), paste the script, press Enter, and click the button that appears in the page. "
    "Keep WhatsApp open on the phone."
)
WITHOUT_PASSKEY = "If that does not work, remove the passkey on the phone (WhatsApp, Settings, Account, Passkeys) and pair again, which helps some accounts."
_WHAT_TO_DO = (
    f"{HOW_TO_SIGN} Copy the answer, and pass it to threadlineAnswerPasskey before qrExpiresAt. {WITHOUT_PASSKEY}"
)


def script(options_json: str) -> str:
    """What a person pastes into the console of web.whatsapp.com. `options_json` is WebAuthn's request; it becomes a JavaScript literal
    of ASCII alone, so nothing in it can end the literal."""
    return f"{_PAGE.read_text(encoding='utf-8')}signForThreadline({json.dumps(json.loads(options_json))});\n"


def private_state(request: pb.PasskeyRequest, now: datetime) -> dict[str, Any]:
    """The fields of private/state while the passkey is wanted."""
    return {
        **NO_CODES,
        "qrGeneratedAt": now,
        "qrExpiresAt": expires_at(request),
        "passkey": {
            "request": request.options_json,
            "script": script(request.options_json),
            "whatToDo": _WHAT_TO_DO,
        },
    }
