"""Ends requests that are older than their account's limit, instead of sending them stale."""

from dataclasses import dataclass
from datetime import datetime

from backend import log
from backend.accept import Accept
from backend.clock import stand_back
from backend.replies import Replies
from backend.stores import Conflict, Document, Stored, Stores
from core import expiry, outbox, schema
from core.alert import Alert
from core.delivery import Delivery
from core.errors import ErrorCode, code_of
from core.ids import AccountId, RequestId, outbound_key, parse_thread_id, thread_id, wa_message_id
from core.timing import Timing


@dataclass(frozen=True, kw_only=True)
class Expiry:
    stores: Stores
    timing: Timing
    accept: Accept
    replies: Replies

    def limit_s(self, account: AccountId) -> float:
        """How old a request of the account may become. Reads the account's document."""
        stored = self.stores.account(account)
        return expiry.limit_s(stored.value if stored is not None else None, self.timing)

    def end(self, head: Stored[Document], at: datetime) -> None:
        """Ends a valid head that is past its limit, with its message and one alert, in one commit; where somebody was faster,
        or its message did not stand yet, its caller meets it again. Needs no claim: the commit holds only for the head as it
        was read, which nobody had claimed."""
        account, chat = parse_thread_id(head.value["threadId"])
        thread = thread_id(account, chat)
        message_id = wa_message_id(thread, outbound_key(RequestId(head.id)))
        message = self.stores.message(message_id)
        if message is None:
            self.accept.request(head)
            return
        standing = message.value.delivery or Delivery.QUEUED
        state = outbox.queue_state(head.value)
        settlement = expiry.end(state, standing, at)
        if settlement is None:
            return
        commit = self.stores.commit()
        commit.update(schema.OUTBOX, head.id, settlement.request, at=head.update_time)
        left_at = state.last_tried_at or at
        self.replies.add_outcome(commit, thread, message, settlement.message, left_at=left_at, now=at)
        if settlement.alert is not None:
            commit.raise_alert(_alert(settlement.alert, account, head.id), at)
        try:
            commit.run()
        except Conflict:
            stand_back(1)
            return
        log.request_expired(account, head.id, code_of(settlement.request.get("lastError")))


def _alert(code: ErrorCode, account: AccountId, request_id: str) -> Alert:
    """Those that did not leave are one cause together; one whose end is unknown is decided by itself."""
    if code is ErrorCode.EXPIRED:
        message = "Messages of the account waited longer than it allows; they failed and did not leave."
        return Alert(
            code=code, cause=account, account_id=account, message=message, about=f"{schema.ACCOUNTS}/{account}"
        )
    return Alert(
        code=code,
        cause=request_id,
        account_id=account,
        thread_id=thread_id(*parse_thread_id(request_id.rpartition("_")[0])),
        message="A message without an answer waited longer than its account allows; it may or may not have reached the contact.",
        about=f"{schema.OUTBOX}/{request_id}",
    )
