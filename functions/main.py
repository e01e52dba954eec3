"""What `firebase deploy` exports, and nothing else."""

import firebase_admin

from backend.triggers.callables import (
    cancelRequest,
    createAccount,
    logoutAccount,
    pairAccount,
    resolveRequest,
    setDesiredState,
    startConversation,
)
from backend.triggers.firestore import on_ingest, on_outbox
from backend.triggers.sending import flush, send, sweep

firebase_admin.initialize_app()  # for the callables' check of ID tokens; opens no connection

__all__ = [
    "cancelRequest",
    "createAccount",
    "flush",
    "logoutAccount",
    "on_ingest",
    "on_outbox",
    "pairAccount",
    "resolveRequest",
    "send",
    "setDesiredState",
    "startConversation",
    "sweep",
]
