"""What `firebase deploy` exports, and nothing else."""

import firebase_admin

from backend.triggers.alerts import threadlineOnAlert, threadlinePostAlert
from backend.triggers.callables import (
    threadlineAnswerPasskey,
    threadlineCancelRequest,
    threadlineCloseGap,
    threadlineCreateAccount,
    threadlineLogoutAccount,
    threadlinePairAccount,
    threadlineResolveRequest,
    threadlineSetAccountLimits,
    threadlineSetDesiredState,
    threadlineStartConversation,
)
from backend.triggers.firestore import threadlineOnIngest, threadlineOnOutbox
from backend.triggers.sending import threadlineFlush, threadlineSend, threadlineSweep

firebase_admin.initialize_app()  # for the callables' check of ID tokens; opens no connection

__all__ = [
    "threadlineAnswerPasskey",
    "threadlineCancelRequest",
    "threadlineCloseGap",
    "threadlineCreateAccount",
    "threadlineFlush",
    "threadlineLogoutAccount",
    "threadlineOnAlert",
    "threadlineOnIngest",
    "threadlineOnOutbox",
    "threadlinePairAccount",
    "threadlinePostAlert",
    "threadlineResolveRequest",
    "threadlineSend",
    "threadlineSetAccountLimits",
    "threadlineSetDesiredState",
    "threadlineStartConversation",
    "threadlineSweep",
]
