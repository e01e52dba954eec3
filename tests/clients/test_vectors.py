"""The vectors in vectors.json against core.ids, and against the example in the document."""

import json
from pathlib import Path

import pytest

from core import ids
from core.text import MAX_TEXT_UTF16_UNITS, utf16_units

VECTORS: list[dict[str, str | int]] = json.loads((Path(__file__).parent / "vectors.json").read_text())
DOCUMENT = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()


def text_field(vector: dict[str, str | int], name: str) -> str:
    value = vector[name]
    assert isinstance(value, str)
    return value


@pytest.mark.parametrize("vector", [pytest.param(vector, id=str(vector["name"])) for vector in VECTORS])
def test_a_vector_is_what_the_core_computes(vector: dict[str, str | int]) -> None:
    thread = ids.thread_id(ids.account_id(vector["accountId"]), ids.chat_id(vector["chatId"]))
    text = text_field(vector, "text")
    client_message_id = ids.client_message_id(vector["clientMessageId"])
    request = ids.request_id(thread, text_field(vector, "to"), text, client_message_id)
    assert vector["threadId"] == thread
    assert vector["to"] == vector["chatId"]
    assert vector["utf16Units"] == utf16_units(text) <= MAX_TEXT_UTF16_UNITS
    assert vector["requestId"] == request
    assert vector["waMessageId"] == ids.wa_message_id(thread, ids.outbound_key(request))


def test_the_vectors_differ_in_their_ids() -> None:
    """Two of them differ in nothing but the text's normal form."""
    assert len({vector["requestId"] for vector in VECTORS}) == len(VECTORS)


def test_the_documents_example_is_the_first_vector() -> None:
    example = [line.strip("| ").split(" | ") for line in DOCUMENT.split("An example")[1].split("##")[0].splitlines()]
    shown = {cells[0].strip("`"): cells[1].strip("`") for cells in example if len(cells) == 2}
    assert len(shown) == 6
    assert shown == {name: VECTORS[0][name] for name in shown}


MESSAGE_IDS = json.loads((Path(__file__).parent / "message_ids.json").read_text())
DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@pytest.mark.parametrize("sequence", [pytest.param(each, id=each["name"]) for each in MESSAGE_IDS])
def test_the_message_ids_ascend_as_the_queue_orders_them_and_hold_their_time(
    sequence: dict[str, list[dict[str, str | int]]],
) -> None:
    made = [ids.client_message_id(each["clientMessageId"]) for each in sequence["ids"]]
    assert sorted(made, key=str.encode) == made
    assert len(set(made)) == len(made)
    times = [int("".join(f"{DIGITS.index(digit):05b}" for digit in each[:10]), 2) for each in made]
    given = [int(each["nowMs"]) for each in sequence["ids"]]
    assert times == [max(given[: place + 1]) for place in range(len(given))]
