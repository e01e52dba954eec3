"""A WhatsApp server for tests: it speaks the multi-device protocol with real clients, on the loopback address and in memory."""

from tests.whatsapp.connection import PairingRefused
from tests.whatsapp.contact import Contact
from tests.whatsapp.device import Device, NotConnected
from tests.whatsapp.faults import Fault
from tests.whatsapp.phone import Phone
from tests.whatsapp.record import Frame, Problem, ReceiptSeen, Shown, Written
from tests.whatsapp.server import ServerFoundProblems, WhatsAppServer

__all__ = [
    "Contact",
    "Device",
    "Fault",
    "Frame",
    "NotConnected",
    "PairingRefused",
    "Phone",
    "Problem",
    "ReceiptSeen",
    "ServerFoundProblems",
    "Shown",
    "WhatsAppServer",
    "Written",
]
