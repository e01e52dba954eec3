"""The budget of each flow: the uncontended first delivery, the client's and the connector's own writes included.

`make cost` prints what was measured; docs/cost.md says what it comes to.
"""

import json
import re

import pytest

from local.cost import TABLE
from local.project import ROOT
from tests.cost.meter import Bill, Measured

BUDGET = {
    "inbound, the chat's first": Bill(writes=4, reads=2, invocations=1),
    "inbound": Bill(writes=4, reads=1, invocations=1),
    "outbound": Bill(writes=6, reads=5, invocations=2),
    "receipt": Bill(writes=3, reads=1, invocations=1),
}
LOG_BUDGET = {"inbound, the chat's first": 0, "inbound": 0, "outbound": 2, "receipt": 0}
"""Lines of functions and connector."""
LOG_LINE_BYTES = 300
RULES_LOOK_UPS = 1
"""Documents that the rules read when a client creates a request: its thread. Billed, but not seen by the counter."""
RULES_LOOK_UPS_OF_A_MERGED_THREAD = 2
"""Besides, the thread that it was merged into."""


@pytest.mark.parametrize("flow", BUDGET)
def test_a_message_costs_what_is_budgeted(flow: str, measured: dict[str, Measured]) -> None:
    overruns = measured[flow].bill.overruns(BUDGET[flow])
    assert not overruns, "\n  ".join([f"{flow}: {', '.join(overruns)}", *sorted(_lines(measured[flow]))])


@pytest.mark.parametrize("flow", LOG_BUDGET)
def test_a_message_logs_what_is_budgeted(flow: str, measured: dict[str, Measured]) -> None:
    """docs/cost.md reckons with it. A line for each message in is one too many: Cloud Run writes one of the request already."""
    lines = measured[flow].log_lines
    assert len(lines) == LOG_BUDGET[flow], "\n".join(lines)
    assert sum(map(len, lines)) <= LOG_BUDGET[flow] * LOG_LINE_BYTES, "\n".join(lines)


def test_the_rules_read_one_document_for_a_request() -> None:
    rules = re.sub(r"//.*", "", (ROOT / "firestore.rules").read_text())
    looked_up = re.findall(r"(:\s*)?\b(?:get|exists)(?:After)?\(\s*/", rules)
    assert len(looked_up) == RULES_LOOK_UPS_OF_A_MERGED_THREAD
    assert sum(not otherwise for otherwise in looked_up) == RULES_LOOK_UPS


def test_what_was_measured_is_written_down(measured: dict[str, Measured]) -> None:
    """For the table of `make cost`."""
    rows = [
        {
            "flow": flow,
            "writes": found.bill.writes,
            "reads": found.bill.reads,
            "invocations": found.bill.invocations,
            "log_bytes": sum(len(line) + 1 for line in found.log_lines),
            "parts": _lines(found) + _rules_parts(flow),
            "over": found.bill.overruns(BUDGET[flow]),
        }
        for flow, found in measured.items()
    ]
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(json.dumps(rows, indent=1))
    assert {row["flow"] for row in rows} == BUDGET.keys()


def _rules_parts(flow: str) -> list[str]:
    return [f"besides, {RULES_LOOK_UPS} x the rules read whatsapp_threads"] if flow == "outbound" else []


def _lines(measured: Measured) -> list[str]:
    return [f"{count} x {part}" for part, count in sorted(measured.parts.items())]
