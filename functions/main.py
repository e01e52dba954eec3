"""What `firebase deploy` exports, and nothing else."""

import firebase_admin

from backend.triggers.alerts import on_alert, post_alert
from backend.triggers.callables import (
    cancelRequest,
    closeGap,
    createAccount,
    logoutAccount,
    pairAccount,
    resolveRequest,
    setAccountLimits,
    setDesiredState,
    startConversation,
)
from backend.triggers.firestore import on_ingest, on_outbox
from backend.triggers.sending import flush, send, sweep

firebase_admin.initialize_app()  # for the callables' check of ID tokens; opens no connection

__all__ = [
    "cancelRequest",
    "closeGap",
    "createAccount",
    "flush",
    "logoutAccount",
    "on_alert",
    "on_ingest",
    "on_outbox",
    "pairAccount",
    "post_alert",
    "resolveRequest",
    "send",
    "setAccountLimits",
    "setDesiredState",
    "startConversation",
    "sweep",
]
