"""WhatsApp's protobuf modules and token dictionaries, generated when they are first asked for."""

import json
import sys
from importlib import import_module
from typing import Any

from tests.whatsapp.binary import Codec, Tokens
from tests.whatsapp.generated import ready_folder

_FOLDER = ready_folder()
sys.path.append(str(_FOLDER))  # the generated modules import each other by these names

# Generated at build, so a type checker cannot see them: Any is the honest type.
adv: Any = import_module("waAdv.WAAdv_pb2")
cert: Any = import_module("waCert.WACert_pb2")
companion_reg: Any = import_module("waCompanionReg.WACompanionReg_pb2")
e2e: Any = import_module("waE2E.WAWebProtobufsE2E_pb2")
history: Any = import_module("waHistorySync.WAWebProtobufsHistorySync_pb2")
server_sync: Any = import_module("waServerSync.WAWebProtobufsServerSync_pb2")
sync_action: Any = import_module("waSyncAction.WAWebProtobufSyncAction_pb2")
wa6: Any = import_module("waWa6.WAWebProtobufsWa6_pb2")
web: Any = import_module("waWeb.WAWebProtobufsWeb_pb2")


def load_tokens() -> Tokens:
    tables = json.loads((_FOLDER / "tokens.json").read_text(encoding="utf-8"))
    return Tokens(single=tables["single"], double=tables["double"])


CODEC = Codec(load_tokens())
