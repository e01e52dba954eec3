"""Numbers as people write them, and the written forms that are one number."""

import pytest

from core.ids import InvalidId
from core.phone_numbers import is_same_number, read_phone_number


@pytest.mark.parametrize(
    "written",
    [
        "+40712345678",
        " +40 712 345 678 ",
        "+40 (0)712 345 678",
        "+40-712-345-678",
        "+40.712.345.678",
        "(+40) 712 345 678",
        "0040 712 345 678",
        "00 40 (0) 712/345.678",
        "+400712345678",
        "\u202a+40\u00a0712\u00a0345\u00a0678\u202c",
    ],
)
def test_a_number_is_understood_in_any_common_form(written: str) -> None:
    assert read_phone_number(written) == "+40712345678"


@pytest.mark.parametrize(
    ("written", "home", "read"),
    [
        ("0712 345 678", "+40799999999", "+40712345678"),
        ("(41) 98888-7777", "+5511999999999", "+5541988887777"),
        ("011 15 2345-6789", "+5491199999999", "+5491123456789"),
        ("(415) 555-2671", "+14155550000", "+14155552671"),
        ("+40712345678", "+14155550000", "+40712345678"),
        ("06 1234 5678", "+390699999999", "+390612345678"),  # Italy keeps its zero
    ],
)
def test_a_national_form_is_that_of_the_accounts_own_country(written: str, home: str, read: str) -> None:
    assert read_phone_number(written, home=home) == read


@pytest.mark.parametrize(
    "written",
    [None, 40712345678, "", "+", "0712 345 678", "40712345678", "+40 712", "+40712345678 ext 5", "call me", "+0712345678",
     "+40712345678\0", "+4071234567890123", "1" * 1000, "+40712345678, +40712345679"],
)  # fmt: skip
def test_what_names_no_number_is_refused(written: object) -> None:
    with pytest.raises(InvalidId):
        read_phone_number(written)


def test_a_country_that_the_library_does_not_know_is_left_to_whatsapp() -> None:
    assert read_phone_number("+999123456789") == "+999123456789"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+5541988887777", "+554188887777"),  # Brazil: the ninth digit
        ("+5215512345678", "+525512345678"),  # Mexico: the former 1
        ("+5491123456789", "+541123456789"),  # Argentina: the 9 of mobile numbers
        ("+40712345678", "+40712345678"),
    ],
)
def test_forms_of_one_number_are_the_same(one: str, other: str) -> None:
    assert is_same_number(one, other)
    assert is_same_number(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+40712345678", "+40712345679"),
        ("+5541988887777", "+554188887778"),
        ("+5511923456789", "+551123456789"),  # the latter is a landline
        ("+5541988887777", "+5542988887777"),
        ("+5215512345678", "+525512345679"),
        ("+5491123456789", "+541123456780"),
        ("+491712345678", "+4991712345678"),
    ],
)
def test_numbers_that_differ_are_not_the_same(one: str, other: str) -> None:
    assert not is_same_number(one, other)


def test_an_account_without_a_number_takes_any() -> None:
    assert is_same_number(None, "+40712345678")
