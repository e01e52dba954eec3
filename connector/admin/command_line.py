"""The commands, their arguments and help; and how each ends, without a traceback whatever happens."""

import argparse
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError

from connector.admin import (
    accounts,
    alerts,
    creation,
    decisions,
    hashes,
    limits,
    pairing,
    queues,
    replays,
    roles,
    threads,
    waiting,
    wishes,
)
from connector.admin.condition import PROGRAM
from connector.admin.context import Context, firestore_emulator
from connector.admin.doctor import command as doctor
from connector.admin.endings import ExitStatus, Failed
from connector.admin.screen import Screen
from core.account_limits import LIMITS
from core.errors import CATALOGUE, ErrorCode
from core.ids import InvalidId, account_id, checked_request_id, document_id, parse_thread_id, thread_id
from core.phone_numbers import read_phone_number

_DESCRIPTION = "Looks after the numbers of a Threadline project."
_EPILOG = f"""\
exit status: 0 done; 1 could not be done, and why; 2 wrong usage; 3 not found; 130 interrupted

Which project: --project, or GOOGLE_CLOUD_PROJECT, or the one of your Google credentials (`gcloud auth
application-default login`). Which Firestore database: --database, or FIRESTORE_DATABASE, or (default).
With FIRESTORE_EMULATOR_HOST (and FIREBASE_AUTH_EMULATOR_HOST) it works on the emulators.
Each command has an example: `{PROGRAM} COMMAND --help`. docs/operating.md says more."""

Run = Callable[[Context, argparse.Namespace], None]
Add = Callable[..., Any]


def run(arguments: Sequence[str]) -> int:
    named = _parser().parse_args(arguments)
    logging.disable(logging.CRITICAL)  # what libraries say may quote ids; errors are told below
    screen = Screen(out=sys.stdout, errors=sys.stderr, as_json=getattr(named, "json", False))
    context = Context(getattr(named, "project", None), screen, getattr(named, "database", None))
    try:
        return _run(named, context)
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.DONE


def _run(named: argparse.Namespace, context: Context) -> int:
    try:
        named.run(context, named)
    except Failed as failure:
        context.screen.complain(f"{named.command}: {failure}")
        return failure.status
    except BrokenPipeError:
        raise
    except exceptions.PermissionDenied:
        context.screen.complain(
            f"{named.command}: these credentials may not use Firestore of project {context.project}: they need the role "
            "Cloud Datastore User (roles/datastore.user); or it is another project that you mean (--project)"
        )
    except (exceptions.Unauthenticated, GoogleAuthError):
        context.screen.complain(
            f"{named.command}: Google did not accept the credentials: run `gcloud auth application-default login` again"
        )
    except exceptions.NotFound:
        context.screen.complain(
            f"{named.command}: project {context.project} has no Firestore database; is it the one that you mean (--project)?"
        )
    except (exceptions.GoogleAPIError, ValueError) as error:
        context.screen.complain(f"{named.command}: {_unanswered(error)}")
    except Exception as error:  # noqa: BLE001 - the process's edge: a traceback would quote ids, and helps nobody at a terminal
        place = traceback.extract_tb(error.__traceback__)[-1]
        context.screen.complain(
            f"{named.command}: failed unexpectedly ({type(error).__name__} at {os.path.basename(place.filename)}:{place.lineno}). "
            "That is a fault of this program: report it with this line"
        )
    else:
        return ExitStatus.DONE
    return ExitStatus.NOT_DONE


def _unanswered(error: Exception) -> str:
    where = f"the emulator at {firestore_emulator()}" if firestore_emulator() else "Google Cloud"
    if isinstance(error, exceptions.ServiceUnavailable | exceptions.DeadlineExceeded | exceptions.RetryError):
        return f"Firestore did not answer ({where}); look whether it is reached from here, then try again"
    return f"Firestore refused ({type(error).__name__}, {where}); try again"


class _Parser(argparse.ArgumentParser):
    """Says what was wrong and where help is, instead of a usage line that explains nothing."""

    def error(self, message: str) -> NoReturn:
        self.exit(ExitStatus.WRONG_USAGE, f"{self.prog}: {message}\nHelp, with an example: {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--project", metavar="ID", help="the Google Cloud project")
    common.add_argument("--database", metavar="ID", help="its Firestore database, where it is not (default)")
    common.add_argument("--json", action="store_true", help="the answer as JSON")
    parser = _Parser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)

    def add(name: str, run: Run, sentence: str, example: str, more: str = "") -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(
            name,
            help=sentence,
            description=f"{sentence[:1].upper()}{sentence[1:]}.{' ' + more if more else ''}",
            epilog=f"example:\n  {PROGRAM} {example}",
            formatter_class=_WordWrapped,
            parents=[common],
            allow_abbrev=False,
        )
        added.set_defaults(run=run)
        return added

    _add_accounts(add)
    _add_queues(add)
    _add_people(add)
    return parser


def _add_accounts(add: Add) -> None:
    add("accounts", accounts.show_all, "all numbers: status, owner, queue, and what is wrong", "accounts --json")

    one = add(
        "account", accounts.show_one, "one number: all of its health, its open alerts and what to do", "account sales-1"
    )
    _account(one)

    pair = add(
        "pair",
        pairing.pair,
        "links a phone: shows the QR code here until the phone is connected",
        "pair sales-1 --phone +40712345678",
        "With --phone it shows a code that is typed into that phone instead. Ends with 0 when the account is connected.",
    )
    _account(pair)
    pair.add_argument(
        "--phone",
        type=_checked(read_phone_number),
        metavar="NUMBER",
        help="the account's own number, as +40 712 345 678",
    )
    pair.add_argument("--wait", type=_seconds, default=300.0, metavar="SECONDS", help="how long to wait for it (300)")

    created = add(
        "create",
        creation.create,
        "creates a number's account, which is then paired; for the first one",
        "create sales-1 --name 'Sales, Cluj'",
        "Of an account that exists it changes nothing.",
    )
    _account(created)
    created.add_argument("--name", metavar="TEXT", help="what people read (the accountId)")

    paused = add(
        "pause",
        wishes.pause,
        "closes a number's session and keeps it",
        "pause sales-1",
        "Nothing is sent or received until it is resumed; messages wait, and those that wait too long expire.",
    )
    _account(paused)
    _account(add("resume", wishes.resume, "opens a number's session again", "resume sales-1"))
    logout = add(
        "logout",
        wishes.log_out,
        "unlinks a number's device at WhatsApp",
        "logout sales-1",
        "The account and its chats stay; it must be paired again, with the same number.",
    )
    _account(logout)

    closed = add(
        "close-gap",
        wishes.close_gap,
        "gives up messages that are missing: the gap closes, and its alert ends",
        "close-gap sales-1",
        "When what did not come was read on the phone, from syncGapStartAt to syncGapEndAt (`account sales-1` shows both). "
        "What comes later stands all the same.",
    )
    _account(closed)
    _add_limits(add)

    told = add("alerts", alerts.show_open, "what needs a person, the oldest first, and what to do", "alerts sales-1")
    _account(told, nargs="?", more="; without it all accounts', and no document that would show a number")


def _add_limits(add: Add) -> None:
    limited = add(
        "limits",
        limits.limits,
        "how fast a number may send, and how long its messages wait",
        "limits sales-1 --cold-per-day 80 --warm-up-days default",
        "Without an option it shows them. docs/pacing.md says what they are for.",
    )
    _account(limited)
    for name, limit in LIMITS.items():
        limited.add_argument(
            limits.option(name),
            dest=name,
            type=_limit(name),
            default=argparse.SUPPRESS,
            metavar="N",
            help=f"{limit.meaning} ({limit.least} to {limit.most}, or the word default: {limit.default})",
        )


def _add_queues(add: Add) -> None:
    queue = add(
        "queue",
        queues.show,
        "what waits to be sent, since when, and what holds it",
        "queue sales-1",
        f"Reads each request that waits, {waiting.MOST} at most.",
    )
    _account(queue, nargs="?", more="; without it a line an account, with it a line a chat")

    replay = add(
        "replay",
        replays.replay,
        "takes up rows of the ingest log again that were kept as not understood",
        "replay --account sales-1 --all-of-code event_type_unknown",
        "After a fix: of the row, of its writer, or of the functions. With --account it reads all of the account's processed "
        "rows (of 30 days), each a read that is paid for.",
    )
    replay.add_argument(
        "event", nargs="?", type=_checked(document_id), metavar="EVENT_ID", help="one row of whatsapp_ingest"
    )
    replay.add_argument(
        "--account", type=_checked(account_id), metavar="ACCOUNT", help="all that were kept of this account"
    )
    replay.add_argument(
        "--all-of-code", dest="code", type=_error_code, metavar="CODE", help="only those, such as invalid_event"
    )
    replay.add_argument("--anyway", action="store_true", help="also what this program's own code does not understand")

    resolve = add(
        "resolve",
        decisions.resolve,
        "decides about a message of which nobody knows whether it was sent",
        "resolve 'sales-1_40712345678@s.whatsapp.net_<64 hex digits>' mark-sent",
        "Without a decision it shows what is known. `alerts ACCOUNT` names such requests.",
    )
    resolve.add_argument("request", type=_checked(checked_request_id), metavar="REQUEST_ID")
    resolve.add_argument(
        "decision",
        nargs="?",
        choices=list(decisions.WORDS),
        help="resend: again, as a new message (the contact may get it twice); mark-sent; mark-failed",
    )
    resolve.add_argument(
        "--by", metavar="EMAIL", help="who decides, for the record (of the credentials, where they say it)"
    )


def _add_people(add: Add) -> None:
    thread = add(
        "thread",
        threads.show,
        "the newest messages of a chat",
        "thread 'sales-1_40712345678@s.whatsapp.net' --follow",
    )
    thread.add_argument(
        "thread", type=_checked(_thread), metavar="THREAD_ID", help="ACCOUNT_CHAT; `who` finds it by a log's hash"
    )
    thread.add_argument("--follow", action="store_true", help="goes on with new messages and deliveries until Ctrl-C")
    thread.add_argument("--no-text", dest="text", action="store_false", help="hides what was written")
    thread.add_argument("--count", type=_count, default=20, metavar="N", help="how many (20)")

    who = add(
        "who",
        hashes.resolve,
        "which thread, request or row a log's short hash means",
        "who 5f0c3a91b2d7 --account sales-1",
        "Needs the services' THREADLINE_LOG_HASH_KEY, where they have one. Reads the ids of all threads, requests and rows until one fits, "
        "each a read that is paid for: name the account that stands in the same log line.",
    )
    who.add_argument(
        "hash", type=_hash, metavar="HASH", help="twelve hex digits: thread, request, row or key of a log line"
    )
    who.add_argument("--account", type=_checked(account_id), metavar="ACCOUNT", help="only ids of this account")

    examined = add(
        "doctor",
        doctor.examine,
        "checks that the deployment is complete and works: what is wrong, and what to do",
        "doctor --project my-company-inbox",
        "Sends nothing to WhatsApp; it creates and deletes one row of the ingest log and one request of the account threadline-doctor. "
        "Ends with 0: all right; 1: something is wrong; 2: something could not be checked. docs/doctor.md has every check.",
    )
    examined.add_argument(
        "--wait", type=_seconds, default=40.0, metavar="SECONDS", help="how long to wait for each answer (40)"
    )
    examined.add_argument("--region", metavar="REGION", help="where functions and connectors run (europe-west1)")

    role = add(
        "make-super-admin",
        roles.make_super_admin,
        "gives a user the role superAdmin; for the first one",
        "make-super-admin ana@example.com",
        "Other claims of the user stay.",
    )
    role.add_argument("user", metavar="EMAIL|UID")


def _account(parser: argparse.ArgumentParser, *, nargs: str | None = None, more: str = "") -> None:
    parser.add_argument(
        "account", nargs=nargs, type=_checked(account_id), metavar="ACCOUNT", help=f"its accountId{more}"
    )


class _WordWrapped(argparse.RawDescriptionHelpFormatter):
    """The description is wrapped, the example stays as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("example:"):
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def _checked(check: Callable[[object], Any]) -> Callable[[str], Any]:
    """An argument's type that says what is wrong with it."""

    def parse(value: str) -> Any:
        try:
            return check(value)
        except InvalidId as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def _thread(value: object) -> str:
    return thread_id(*parse_thread_id(value))


def _error_code(value: str) -> ErrorCode:
    kept = [str(code) for code, entry in CATALOGUE.items() if "lastProcessError" in entry.seen_in]
    if value not in kept:
        raise argparse.ArgumentTypeError(f"rows are kept with one of {', '.join(kept)}")
    return ErrorCode(value)


def _hash(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{12}", value):
        raise argparse.ArgumentTypeError("a log's hash is twelve digits of 0-9 and a-f")
    return value


def _limit(name: str) -> Callable[[str], int | None]:
    def parse(value: str) -> int | None:
        if value == "default":
            return None
        number = int(value) if re.fullmatch(r"[0-9]{1,9}", value) else -1
        if LIMITS[name].problem(name, number) is not None:
            limit = LIMITS[name]
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {limit.least} to {limit.most}, or default, which is {limit.default}"
            )
        return number

    return parse


def _seconds(value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", value) or not float(value) > 0:
        raise argparse.ArgumentTypeError("must be a number of seconds above 0")
    return float(value)


def _count(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", value) or not 0 < int(value) <= 1000:
        raise argparse.ArgumentTypeError("must be a number from 1 to 1000")
    return int(value)
