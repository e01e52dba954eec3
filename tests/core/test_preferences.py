"""What a user has set for either of two threads that become one is not lost."""

from datetime import UTC, datetime

import pytest

from core.preferences import joined

NINE, TEN = datetime(2026, 1, 1, 9, tzinfo=UTC), datetime(2026, 1, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("is_former_newer", [False, True])
@pytest.mark.parametrize(
    ("canonical", "former", "expected"),
    [
        ({}, {"pinned": True, "customLabel": "VIP"}, {"pinned": True, "customLabel": "VIP"}),
        ({"pinned": True}, {"pinned": False}, {"pinned": True}),
        ({"pinned": False}, {"pinned": True}, {"pinned": True}),
        ({"muted": False, "pinned": True}, {"muted": True}, {"muted": True, "pinned": True}),
        ({"pinned": False}, {"pinned": False}, {"pinned": False}),
        ({"lastReadAt": TEN}, {"lastReadAt": NINE}, {"lastReadAt": TEN}),
        ({"lastReadAt": NINE}, {"lastReadAt": TEN}, {"lastReadAt": TEN}),
        ({"customLabel": ""}, {"customLabel": "VIP"}, {"customLabel": "VIP"}),
        ({"customLabel": "VIP"}, {"customLabel": ""}, {"customLabel": "VIP"}),
        ({}, {}, {}),
    ],
)
def test_what_either_says_is_kept(
    canonical: dict[str, object], former: dict[str, object], expected: dict[str, object], is_former_newer: bool
) -> None:
    assert joined(canonical, former, is_former_newer=is_former_newer) == expected


def test_of_two_labels_the_one_that_was_written_last_counts() -> None:
    canonical, former = {"customLabel": "Ana", "later": 1}, {"customLabel": "Ana M.", "later": 2}
    assert joined(canonical, former, is_former_newer=False) == canonical
    assert joined(canonical, former, is_former_newer=True) == former
