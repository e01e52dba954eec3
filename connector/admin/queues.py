"""`queue`: how much waits to be sent, since when, and what holds the head of each queue."""

from argparse import Namespace
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from connector.admin import waiting
from connector.admin.condition import PROGRAM
from connector.admin.context import Context, now
from connector.admin.screen import Column, Row
from connector.admin.standing import Standing, read_all, read_one
from connector.admin.times import age, clock
from connector.admin.waiting import Waiting
from core.account import Status
from core.outbox import queue_state
from core.timing import Timing

_ACCOUNT_COLUMNS = (
    Column(title="ACCOUNT"),
    Column(title="WAITING", to_right=True),
    Column(title="OF WHICH SENDING", to_right=True),
    Column(title="OLDEST", to_right=True),
)
_THREAD_COLUMNS = (
    Column(title="THREAD"),
    Column(title="WAITING", to_right=True),
    Column(title="OLDEST", to_right=True),
    Column(title="ATTEMPTS", to_right=True),
)


def show(context: Context, arguments: Namespace) -> None:
    if arguments.account is None:
        _show_accounts(context)
    else:
        _show_threads(context, read_one(context, arguments.account))


def hold(standing: Standing, head: Mapping[str, Any], at: datetime) -> str:
    """What keeps the head of a queue from leaving."""
    state, error = queue_state(head), head.get("lastError")
    if state.is_attempt_under_way(at):
        return f"an attempt is under way, until {clock(state.claim_until)} at the latest"
    if standing.document.get("status") != Status.CONNECTED or standing.condition.what_to_do:
        return f"the account: {standing.condition.sentence or standing.document.get('status')}"
    if state.is_held(at):
        return f"tried again at {clock(state.claim_until)}; {error or 'the attempt before it did not end well'}"
    if isinstance(error, str):
        return error
    created_at = head.get("createdAt")
    if isinstance(created_at, datetime) and at - created_at < timedelta(seconds=Timing().sweep_age_s):
        return "nothing; its send job is due"
    return "nothing; its send job was lost, and the sweeper makes another within a minute"


def _show_accounts(context: Context) -> None:
    standings = [standing for standing in read_all(context) if standing.queue.depth]
    at = now()
    if context.screen.as_json:
        context.screen.data([_data(standing.account, standing, standing.queue, at) for standing in standings])
    elif standings:
        context.screen.table(
            _ACCOUNT_COLUMNS,
            [
                Row(
                    cells=[
                        standing.account,
                        standing.queue.shown_depth,
                        str(standing.queue.sending),
                        age(standing.queue.oldest_at, at),
                    ],
                    notes=[f"held by {_held(standing, standing.queue, at)}"],
                )
                for standing in standings
            ],
        )
        context.screen.say()
        context.screen.say(f"The threads of one account: {PROGRAM} queue ACCOUNT")
    else:
        context.screen.say("Nothing waits to be sent.")


def _show_threads(context: Context, standing: Standing) -> None:
    threads = waiting.by_thread(context, standing.account)
    at = now()
    if context.screen.as_json:
        context.screen.data([_data(thread, standing, queue, at) for thread, queue in threads.items()])
    elif threads:
        rows = [
            Row(
                cells=[
                    thread,
                    queue.shown_depth,
                    age(queue.oldest_at, at),
                    str(queue_state(queue.head or {}).attempts),
                ],
                notes=[f"held by {_held(standing, queue, at)}"],
            )
            for thread, queue in threads.items()
        ]
        context.screen.table(_THREAD_COLUMNS, rows)
    else:
        context.screen.say(f"Nothing of {standing.account} waits to be sent.")


def _held(standing: Standing, queue: Waiting, at: datetime) -> str:
    return hold(standing, queue.head or {}, at)


def _data(name: str, standing: Standing, queue: Waiting, at: datetime) -> dict[str, Any]:
    return {
        "accountId": standing.account,
        **({} if name == standing.account else {"threadId": name}),
        "depth": queue.depth,
        "depthIsCut": queue.is_cut,
        "sending": queue.sending,
        "oldestWaitingSince": queue.oldest_at,
        "heldBy": _held(standing, queue, at),
    }
