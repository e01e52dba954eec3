"""What WhatsApp says to an account that may not write to people who have not written to it: a notification with its end.

Its form is that which whatsmeow's parser takes (handleMexNotification); whether it comes before the refusal is not known.
"""

import json
import secrets
import time

from tests.whatsapp.faults import Fault
from tests.whatsapp.jid import SERVER
from tests.whatsapp.node import Attribute, Node
from tests.whatsapp.phone import Phone


def begin(phone: Phone, fault: Fault) -> None:
    ends = {"enforcement_type": "REACHOUT_TIMELOCK", "time_enforcement_ends": str(int(time.time() + fault.seconds))}
    _tell(phone, {"is_active": True, **ends})
    fault.when_over(lambda: _tell(phone, {"is_active": False}))


def _tell(phone: Phone, lock: dict[str, object]) -> None:
    data = json.dumps({"data": {"xwa2_notify_account_reachout_timelock": lock}}).encode()
    update = Node("update", {"op_name": "NotificationUserReachoutTimelockUpdate"}, data)
    for device in phone.devices:
        attributes: dict[str, Attribute] = {
            "from": SERVER,
            "type": "mex",
            "id": secrets.token_hex(8),
            "t": int(time.time()),
        }
        device.deliver(Node("notification", attributes, [update]))
