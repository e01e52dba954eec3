"""What a super-admin does with accounts: create, pair, pause and resume, log out, close a gap, set limits. What an owner has to do is written to
the lease, where it sees it."""

from collections.abc import Mapping
from dataclasses import dataclass

from backend import log
from backend.clock import now
from backend.connector_client import ConnectorClient
from backend.contention import until_committed
from backend.flush import Flush
from backend.refusal import Refused
from backend.stores import Commit, DocumentExists, Missing, Stores
from core import account, account_limits, diagnosis, gap, schema
from core.account import CommandKind, DesiredState
from core.account_limits import InvalidLimit
from core.errors import ErrorCode
from core.ids import AccountId
from core.phone_numbers import read_phone_number

MAX_NAME_CHARACTERS = 100


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """What is written to the lease ends with a poke, which only makes it faster: an owner sees the change when it renews its lease."""

    stores: Stores
    connector: ConnectorClient
    flush: Flush

    def create(self, name: str, account_id: AccountId) -> AccountId:
        """Idempotent: a second call with the same id and name answers the account of the first one. Raises Refused."""
        if account_id == diagnosis.ACCOUNT:
            raise Refused(
                ErrorCode.INVALID_REQUEST, f"accountId must not be {diagnosis.ACCOUNT}, which is the doctor's"
            )
        until_committed(lambda _: self._create(name, account_id), "the account could not be created")
        self._poke(account_id)
        return account_id

    def _create(self, name: str, account_id: AccountId) -> None:
        """Raises Conflict, and Refused (account_exists)."""
        commit = self.stores.commit()
        commit.create(schema.ACCOUNTS, account_id, account.new_account_document(account_id, name))
        commit.create(schema.LEASES, account_id, account.new_lease_document(now()))
        try:
            commit.run()
        except DocumentExists as error:
            current = self.stores.account(account_id)
            if current is None or current.value.get("name") != name:
                raise Refused(ErrorCode.ACCOUNT_EXISTS, "there is an account of this id with another name") from error
            if self.stores.lease(account_id) is None:
                detail = "an account of this id exists without its lease; take another id, or restore the lease"
                raise Refused(ErrorCode.ACCOUNT_EXISTS, detail) from error

    def pair(self, account_id: AccountId, written: object = None) -> None:
        """By QR, or, with a number in any common form, by a code that is typed into its phone. The form may be the national one of the
        account's former number. Raises Refused, and InvalidId."""
        if self.stores.is_connected(account_id):
            raise Refused(ErrorCode.INVALID_REQUEST, "the account is connected; log it out before pairing it again")
        phone = None if written is None else read_phone_number(written, home=self._number_of(account_id))
        kind = CommandKind.PAIR_CODE if phone else CommandKind.PAIR_QR
        command = account.new_command(kind, phone)
        self._change(account_id, DesiredState.CONNECTED, {"command": command.document()})

    def _number_of(self, account_id: AccountId) -> str | None:
        stored = self.stores.account(account_id)
        number = None if stored is None else stored.value.get("phoneE164")
        return number if isinstance(number, str) else None

    def set_desired_state(self, account_id: AccountId, state: DesiredState) -> None:
        """Paused closes the session and keeps it. Raises Refused."""
        self._change(account_id, state, {})
        if state is DesiredState.CONNECTED:
            self.flush.account(
                account_id
            )  # a session that was never closed in between does not open, and calls no flush

    def log_out(self, account_id: AccountId) -> None:
        """Unlinks the device; the account stays, and can be paired again with the same number. Raises Refused."""
        self._command(account_id, CommandKind.LOGOUT, "logging out needs its session")

    def close_gap(self, account_id: AccountId) -> None:
        """What is missing was read on the phone, or is given up: the account is whole again. Raises Refused."""
        stored = self.stores.account(account_id)
        if stored is not None and not gap.is_told(stored.value):
            raise Refused(ErrorCode.INVALID_REQUEST, "no gap of the account is open")
        self._command(account_id, CommandKind.CLOSE_GAP, "its gap is closed by the connector that owns it")

    def _command(self, account_id: AccountId, kind: CommandKind, why: str) -> None:
        stored = self.stores.account(account_id)
        if stored is not None and stored.value.get("desiredState") == DesiredState.PAUSED:
            detail = f"the account is paused, and {why}; set desiredState to connected first"
            raise Refused(ErrorCode.INVALID_REQUEST, detail)
        self._change(account_id, None, {"command": account.new_command(kind).document()})

    def limits(self, account_id: AccountId, changes: Mapping[str, object]) -> dict[str, object]:
        """Sets these, and answers what holds then. Its owner sees a change with its next heartbeat. Raises Refused."""
        try:
            fields = account_limits.checked(changes)
            if fields:
                until_committed(
                    lambda _: self._set_limits(account_id, fields), "the limits could not be written", Missing
                )
        except InvalidLimit as error:
            raise Refused(ErrorCode.INVALID_REQUEST, str(error)) from error
        except Missing as error:
            raise _unknown() from error
        stored = self.stores.account(account_id)
        if stored is None:
            raise _unknown()
        return account_limits.known(stored.value)

    def _set_limits(self, account_id: AccountId, fields: Mapping[str, object]) -> None:
        commit = self.stores.commit()
        commit.change(schema.ACCOUNTS, account_id, fields)
        commit.run()

    def _change(self, account_id: AccountId, state: DesiredState | None, lease_fields: dict[str, object]) -> None:
        try:
            until_committed(
                lambda _: self._wish(account_id, state, lease_fields).run(), "the lease could not be written", Missing
            )
        except Missing as error:
            raise _unknown() from error
        self._poke(account_id)

    def _wish(self, account_id: AccountId, state: DesiredState | None, lease_fields: dict[str, object]) -> Commit:
        commit, at = self.stores.commit(), now()
        if state is None:
            commit.change(schema.LEASES, account_id, lease_fields)
            return commit
        lease = self.stores.lease(account_id)
        if lease is None:
            raise _unknown()
        fields: dict[str, object] = {"desiredState": str(state)}
        wanted = {**lease_fields, **account.wanted_fields(state, at)}
        if account.must_be_told_here(state, lease.value, at):
            fields |= account.unowned_pause_fields()
            commit.put(self.stores.private_state(account_id), account.NO_CODES)
        commit.change(schema.ACCOUNTS, account_id, fields)
        # Under the lease as it was read: an owner that gives it back meanwhile would tell nobody of the pause.
        commit.update(schema.LEASES, account_id, wanted, at=lease.update_time)
        return commit

    def _poke(self, account_id: AccountId) -> None:
        lease = self.stores.lease(account_id)
        owner = lease.value.endpoint if lease is not None and lease.value.is_held(now()) else None
        if not self.connector.poke(owner, account_id):
            log.poke_failed(account_id)


def _unknown() -> Refused:
    return Refused(ErrorCode.ACCOUNT_UNKNOWN, "there is no account of this id")
