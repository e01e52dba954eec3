"""`pair`: asks for a pairing, shows each code in the terminal for as long as it is good, and ends when the account is connected."""

import time
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field

from connector.admin import wishes
from connector.admin.condition import PROGRAM, what_to_do
from connector.admin.context import Context, Document, now
from connector.admin.endings import Failed
from connector.admin.qr_picture import NotDrawable, drawn
from connector.admin.standing import Standing, read_one, unknown
from core import schema
from core.account import Command, CommandKind, DesiredState, Lease, Status, new_command, parse_lease
from core.errors import code_of

_LOOK_S = 0.5
_TAKEN_S = 20.0
"""An owner sees a command when it renews its lease, a worker without it when it looks for free ones: within 8 s."""


def pair(context: Context, arguments: Namespace) -> None:
    standing = read_one(context, arguments.account)
    if standing.document.get("status") == Status.CONNECTED:
        raise Failed(
            f"{standing.account} is connected; to pair it anew, log it out first: `{PROGRAM} logout {standing.account}`"
        )
    kind = CommandKind.PAIR_CODE if arguments.phone else CommandKind.PAIR_QR
    command = new_command(kind, arguments.phone)
    wishes.write(context, standing, DesiredState.CONNECTED, command)
    name = f" ({standing.document['name']})" if standing.document.get("name") else ""
    context.screen.say(f"Asked for a pairing of {standing.account}{name}; its connector shows a code within seconds.")
    _Pairing(context=context, standing=standing, command=command, limit_s=arguments.wait).follow()


@dataclass(kw_only=True)
class _Pairing:
    context: Context
    standing: Standing
    """Of the account before the command."""
    command: Command
    limit_s: float
    _shown: str | None = None
    _lines: int = 0
    """That the last drawing took."""
    _taken_at: float | None = None
    _said: set[str] = field(default_factory=set)

    def follow(self) -> None:
        """Returns when the account is connected. Raises Failed."""
        began = time.monotonic()
        while time.monotonic() < began + self.limit_s:
            if self._look(time.monotonic() - began):
                return
            time.sleep(_LOOK_S)
        raise Failed(f"{self.standing.account} was not connected within {self.limit_s:.0f} s; pair it again")

    def _look(self, waited_s: float) -> bool:
        account, lease, state = self._read()
        if account.get("status") == Status.CONNECTED:
            self.context.screen.say(f"Connected: {account.get('phoneE164') or self.standing.account}.")
            return True
        if lease.command is None or lease.command.command_id != self.command.command_id:
            self._taken_at = self._taken_at or time.monotonic()
            self._show(state)
            self._check(account)
        elif waited_s > _TAKEN_S:
            # Among what may be wrong is an account whose last pairing has failed: of that, nothing is to be said now.
            owner = "its owner does not look at it" if lease.is_held(now()) else "no connector owns the account"
            self._say_once(f"Not taken up so far: {owner}. Look whether the connectors run. Ctrl-C ends the waiting.")
        if self._shown is not None and account.get("status") == Status.CONNECTING:
            self._say_once("Linked; it connects.")
        return False

    def _read(self) -> tuple[Document, Lease, Document]:
        name = self.standing.account
        account, lease, state = self.context.read_all(
            [
                self.context.reference(schema.ACCOUNTS, name),
                self.context.reference(schema.LEASES, name),
                self.context.reference(schema.ACCOUNTS, name, schema.PRIVATE, schema.PRIVATE_STATE),
            ]
        )
        if account is None or lease is None:
            raise unknown(self.context, name)
        return account.document, parse_lease(lease.document), state.document if state else {}

    def _check(self, account: Mapping[str, object]) -> None:
        """Raises Failed where the pairing has ended without a link. A code that is shown takes an earlier error away."""
        error, status = account.get("lastError"), account.get("status")
        if not isinstance(error, str) or status == Status.QR_READY:
            return
        is_new = self._shown is not None or error != self.standing.document.get("lastError")
        if is_new or time.monotonic() - (self._taken_at or 0.0) > _TAKEN_S:
            code = code_of(error)
            advice = f". {what_to_do(self.standing.account, code)}" if code else ""
            raise Failed(f"the pairing has ended: {error}{advice}")

    def _show(self, state: Mapping[str, object]) -> None:
        passkey = state.get("passkey")
        if isinstance(passkey, Mapping) and passkey.get("script") != self._shown:
            self._show_passkey(passkey)
            return
        code = state.get("qrCodeDataUrl") or state.get("pairingCode")
        if not isinstance(code, str) or code == self._shown:
            return
        lines = self._words(code) if state.get("pairingCode") else self._picture(code)
        if self._lines and self.context.screen.is_terminal:
            lines = [f"\033[{self._lines}F\033[J{lines[0]}", *lines[1:]]  # in the place of the one before
        self.context.screen.draw(lines)
        self._shown, self._lines = code, len(lines)

    def _show_passkey(self, passkey: Mapping[str, object]) -> None:
        self.context.screen.say_folded(str(passkey.get("whatToDo")))
        self.context.screen.draw(["", str(passkey.get("script"))])
        self._shown, self._lines = str(passkey.get("script")), 0

    def _words(self, code: str) -> list[str]:
        return [
            "",
            "WhatsApp on the phone: Settings, Linked devices, Link a device, Link with phone number instead.",
            f"Type this code: {code}",
        ]

    def _picture(self, data_url: str) -> list[str]:
        hint = "WhatsApp on the phone: Settings, Linked devices, Link a device. The code changes by itself."
        try:
            return ["", hint, *drawn(data_url, coloured=self.context.screen.is_terminal)]
        except NotDrawable:
            where = f"{schema.ACCOUNTS}/{self.standing.account}/{schema.PRIVATE}/{schema.PRIVATE_STATE}"
            return ["", hint, f"It cannot be drawn here: open the address in qrCodeDataUrl of {where} in a browser."]

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self.context.screen.say_folded(line)
            self._lines = 0
